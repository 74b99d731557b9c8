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
	// Underscores says what happens to a field whose name has an underscore.
	Underscores Underscores
}

// Underscores is what happens to fields whose name has an underscore, which some servers
// take for a hyphen.
type Underscores uint8

// What can happen to them.
const (
	// PassUnderscores parses them like all others.
	PassUnderscores Underscores = iota
	// DropUnderscores leaves them out.
	DropUnderscores
	// RejectUnderscores makes them an error: 400.
	RejectUnderscores
)

// DefaultLimits are limits that browsers and servers stay below.
var DefaultLimits = Limits{Line: 16 << 10, Head: 64 << 10, Fields: 128}

// maxExtensions bounds the bytes of all chunk extensions of a body.
const maxExtensions = 4 << 10
