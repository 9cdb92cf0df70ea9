"""The words of this server: what is asked, answered and kept. It imports nothing of ours."""
