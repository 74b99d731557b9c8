//go:build !linux || portable

package completion

import "errors"

// open refuses: only Linux has a pipe that a socket can be spliced to.
func (p *Pipe) open() error { return errors.ErrUnsupported }

func (p *Pipe) close() {}
