package demo

// NewHandler is the handler of all paths, for tests that watch a request from inside.
var NewHandler = newHandler
