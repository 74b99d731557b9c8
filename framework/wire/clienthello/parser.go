package clienthello

// MaxMessage is how many bytes a ClientHello may have, without the headers of its
// records. One with post-quantum key shares has about 1.8 KiB.
const MaxMessage = 16 << 10

const (
	maxRecords       = 64
	maxRecordPayload = 16 << 10
	recordHeader     = 5
	recordHandshake  = 22
	messageHeader    = 4
	typeClientHello  = 1
)

// Parser gathers a ClientHello from the records that it is spread over. The zero value
// is ready; after an error or a whole message it takes nothing more.
type Parser struct {
	received []byte
	scanned  int    // of received: the records so far
	left     int    // of the payload of the record that is being scanned
	records  int    // begun
	message  []byte // the payloads, one after the other
	hello    Hello
	done     bool
	err      error
}

// Parse takes the next piece of what was received. It returns true when the message is
// whole; what the piece has behind it is kept with the rest. An error is an *Error, and
// stays.
func (p *Parser) Parse(piece []byte) (bool, error) {
	if p.err != nil || p.done {
		return p.done, p.err
	}
	p.received = append(p.received, piece...)
	p.done, p.err = p.scan()
	return p.done, p.err
}

// Received returns everything that Parse was given.
func (p *Parser) Received() []byte { return p.received }

// Hello returns the message, once it is whole.
func (p *Parser) Hello() *Hello {
	if !p.done {
		return nil
	}
	return &p.hello
}

// scan takes the payloads out of the records that have arrived.
func (p *Parser) scan() (bool, error) {
	for {
		if p.left == 0 {
			if err := checkHeader(p.received[p.scanned:], p.records == 0); err != nil {
				return false, err
			}
			if len(p.received)-p.scanned < recordHeader {
				return false, nil
			}
			p.begin(p.received[p.scanned:])
			if p.records > maxRecords {
				return false, mistake(DecodeError, "it is spread over more than %d records", maxRecords)
			}
		}
		n := min(p.left, len(p.received)-p.scanned)
		p.message = append(p.message, p.received[p.scanned:p.scanned+n]...)
		p.scanned += n
		p.left -= n
		if whole, err := p.look(); whole || err != nil {
			return whole, err
		}
		if p.left > 0 {
			return false, nil
		}
	}
}

// begin begins with a record, whose header is there.
func (p *Parser) begin(record []byte) {
	p.left = int(record[3])<<8 | int(record[4])
	p.scanned += recordHeader
	p.records++
}

// checkHeader looks at as much of the header of a record as has arrived.
func checkHeader(header []byte, first bool) error {
	switch {
	case len(header) == 0:
		return nil
	case first && header[0]&0x80 != 0:
		return checkSSL2(header)
	case header[0] != recordHandshake && first:
		return mistake(NoAlert, "the client does not speak TLS: it begins with byte %#02x", header[0])
	case header[0] != recordHandshake:
		return mistake(UnexpectedMessage, "a record of type %d interrupts it", header[0])
	case len(header) > 1 && header[1] != 3:
		if first {
			return mistake(NoAlert, "the client does not speak TLS: its record has version %d", header[1])
		}
		return mistake(ProtocolVersion, "a record has version %d", header[1])
	case len(header) < recordHeader:
		return nil
	}
	switch n := int(header[3])<<8 | int(header[4]); {
	case n == 0:
		return mistake(UnexpectedMessage, "a record of it is empty")
	case n > maxRecordPayload:
		return mistake(RecordOverflow, "a record of %d bytes", n)
	}
	return nil
}

// checkSSL2 tells a hello of SSL 2.0 (RFC 6101, appendix E) from noise.
func checkSSL2(header []byte) error {
	switch {
	case len(header) < 3:
		return nil
	case header[2] == typeClientHello:
		return mistake(ProtocolVersion, "the client greets in the form of SSL 2.0, which is not supported")
	}
	return mistake(NoAlert, "the client does not speak TLS: it begins with byte %#02x", header[0])
}

// look takes the message apart if it is whole.
func (p *Parser) look() (bool, error) {
	m := p.message
	if len(m) > 0 && m[0] != typeClientHello {
		return false, mistake(UnexpectedMessage, "the first message is of type %d", m[0])
	}
	if len(m) < messageHeader {
		return false, nil
	}
	size := int(m[1])<<16 | int(m[2])<<8 | int(m[3])
	switch have := len(m) - messageHeader + p.left; {
	case size > MaxMessage:
		return false, mistake(DecodeError, "it has %d bytes, more than %d", size, MaxMessage)
	case have > size:
		return false, mistake(UnexpectedMessage, "something follows it in its record")
	case p.left > 0 || have < size:
		return false, nil
	}
	if err := p.hello.parse(m[messageHeader:]); err != nil {
		return false, err
	}
	return true, nil
}
