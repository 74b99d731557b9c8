// Package stubs has annotations for the Lua language server, so that editors know what
// scripts and their tests can use. They are generated; see docs/reference.
package stubs

import "embed"

// Files are the annotations: fwx.lua for scripts and fwxtest.lua for their tests.
//
//go:embed *.lua
var Files embed.FS
