package clienthello

import "fmt"

// Alert is what a TLS server says about a mistake of the client (RFC 8446, section 6).
type Alert uint8

// The alerts that answer a hello.
const (
	// NoAlert: the client does not speak TLS and would not understand one.
	NoAlert           Alert = 0
	UnexpectedMessage Alert = 10
	RecordOverflow    Alert = 22
	HandshakeFailure  Alert = 40
	IllegalParameter  Alert = 47
	DecodeError       Alert = 50
	AccessDenied      Alert = 49
	ProtocolVersion   Alert = 70
	InternalError     Alert = 80
	UnrecognizedName  Alert = 112
)

const (
	recordAlert = 21
	levelFatal  = 2
)

// Record returns the alert as the record that a server sends to a client whose hello
// it does not answer; nil for NoAlert.
func (a Alert) Record() []byte {
	if a == NoAlert {
		return nil
	}
	return []byte{recordAlert, 3, 1, 0, 2, levelFatal, byte(a)}
}

// Error is why what was received is no ClientHello that can be answered.
type Error struct {
	// Alert is the answer to it.
	Alert  Alert
	Reason string
}

func (e *Error) Error() string { return "no valid ClientHello: " + e.Reason }

func mistake(a Alert, format string, args ...any) error {
	return &Error{Alert: a, Reason: fmt.Sprintf(format, args...)}
}
