package http1

// Limits bounds what a message may take. There is no limit on the length of a body: a
// caller that wants one counts what Body.Next returns, and looks at Length.
type Limits struct {
	// Line is the most bytes of the start line, its end included: beyond, 414 for a
	// request and 431 for a response.
	Line int
	// Head is the most bytes of all field lines, and of the trailer section: beyond, 431.
	Head int
	// Fields is the most fields, and the most trailer fields: beyond, 431.
	Fields int
}

// DefaultLimits are limits that browsers and servers stay below.
var DefaultLimits = Limits{Line: 16 << 10, Head: 64 << 10, Fields: 128}

// maxExtensions bounds the bytes of all chunk extensions of a body.
const maxExtensions = 4 << 10
