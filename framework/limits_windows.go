package framework

// defaultConnectionLimit applies to a system that does not limit how many sockets a process
// may have.
func defaultConnectionLimit() int64 { return 1 << 20 }
