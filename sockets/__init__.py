"""Where clients come in: what is listened on, who is let in, what a request may begin with."""
