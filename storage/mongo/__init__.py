"""The store for many processes on many machines. The only folder that imports motor or pymongo."""
