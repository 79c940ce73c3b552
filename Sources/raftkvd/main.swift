import RaftKV

print("raftkvd")
