//go:build !windows

package main

import "context"

// supervised runs f; only Windows has a supervisor that wants to be talked to.
func supervised(ctx context.Context, f func(context.Context) int) int { return f(ctx) }
