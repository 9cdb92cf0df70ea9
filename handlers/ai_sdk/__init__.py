"""The AI SDK's UI stream for its clients: `useChat` of Vercel's `ai`, majors 5 to 7."""
