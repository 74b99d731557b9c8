package framework_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"fwx/framework"
)

// ftpHelper is a filter for FTP. The server's answer to PASV, and the client's PORT,
// announce a second connection, for the data. The filter expects it at the gateway,
// and announces the gateway's address instead.
type ftpHelper struct {
	established func(data *framework.Connection) // is told of data connections
}

func (ftpHelper) FilterInit(*framework.Firewall) (framework.EventMask, error) {
	return framework.ConnectTCP, nil
}

func (f ftpHelper) AttachToSession(*framework.Session, *framework.EventMask) (framework.SessionFilter, error) {
	return &ftpSession{f}, nil
}

// ftpSession watches the control connections of a client.
type ftpSession struct{ helper ftpHelper }

func (s *ftpSession) FirewallEventHandler(ev *framework.Event) framework.Verdict {
	if ev.Type == framework.EstablishedConnection {
		s.helper.established(ev.Connection) // to which it could attach a data filter
		return framework.Pass
	}
	if err := ev.Connection.AttachDataFilter(ftpControl{s}); err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Pass
}

// ftpControl reads the control connection. It takes lines to come whole, which a
// real filter must not.
type ftpControl struct{ session *ftpSession }

var (
	passiveReply = regexp.MustCompile(`^227 .*\((\d+,\d+,\d+,\d+,\d+,\d+)\)`)
	portCommand  = regexp.MustCompile(`^PORT (\d+,\d+,\d+,\d+,\d+,\d+)\r\n`)
)

func (f ftpControl) Data(c *framework.Connection, dir framework.Direction, chunk []byte) framework.Verdict {
	// Who reads the line is who connects.
	pattern, announcer, text := passiveReply, c.Server().Addr(), "227 Entering Passive Mode (%s)\r\n"
	if dir == framework.Upstream {
		pattern, announcer, text = portCommand, c.Client().Addr(), "PORT %s\r\n"
	}
	m := pattern.FindSubmatch(chunk)
	if m == nil {
		return framework.Pass
	}
	to := parseHostPort(string(m[1]))
	if to.Addr() != announcer {
		return framework.Deny("FTP: a data connection to somebody else")
	}
	expected, err := c.Expect(framework.Expectation{Direction: 1 - dir, To: to, Filter: f.session})
	if err != nil {
		return framework.Fail(err.Error())
	}
	return framework.Replace(fmt.Appendf(nil, text, formatHostPort(expected.Address())))
}

// parseHostPort parses "127,0,0,1,4,1"; the zero AddrPort if a number is none.
func parseHostPort(s string) netip.AddrPort {
	var n [6]byte
	for i, field := range strings.Split(s, ",") {
		b, err := strconv.ParseUint(field, 10, 8)
		if err != nil {
			return netip.AddrPort{}
		}
		n[i] = byte(b)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8|uint16(n[5]))
}

func formatHostPort(a netip.AddrPort) string {
	return fmt.Sprintf("%s,%d,%d", strings.ReplaceAll(a.Addr().String(), ".", ","), a.Port()>>8, a.Port()&0xff)
}

// ftpServer gives one file to everybody, and takes what it is sent.
func ftpServer(file string, stored func(string)) net.Listener {
	server := listen()
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				ftpSpeak(c, file, stored)
			}()
		}
	}()
	return server
}

func listen() net.Listener {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return l
}

// ftpSpeak is the server's side of a control connection.
func ftpSpeak(c net.Conn, file string, stored func(string)) {
	fmt.Fprint(c, "220 ready\r\n")
	var open func() (net.Conn, error) // the data connection
	for lines := bufio.NewScanner(c); lines.Scan(); {
		command, arg, _ := strings.Cut(lines.Text(), " ")
		switch command {
		case "USER", "TYPE":
			fmt.Fprint(c, "230 yes\r\n")
		case "PASV":
			l := listen()
			open = func() (net.Conn, error) {
				defer l.Close()
				return l.Accept()
			}
			fmt.Fprintf(c, "227 Entering Passive Mode (%s)\r\n", formatHostPort(l.Addr().(*net.TCPAddr).AddrPort()))
		case "PORT":
			to := parseHostPort(arg).String()
			open = func() (net.Conn, error) { return (&net.Dialer{}).DialContext(context.Background(), "tcp", to) }
			fmt.Fprint(c, "200 yes\r\n")
		case "RETR", "STOR":
			fmt.Fprint(c, "150 here it is\r\n")
			data, err := open()
			if err != nil {
				fmt.Fprint(c, "425 no data connection\r\n")
				continue
			}
			if command == "STOR" {
				got, _ := io.ReadAll(data) // whatever there is
				stored(string(got))
			} else {
				fmt.Fprint(data, file)
			}
			data.Close()
			fmt.Fprint(c, "226 done\r\n")
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "502 no\r\n")
		}
	}
}

// A filter that lets the data connections of FTP through a gateway.
func ExampleConnection_Expect() {
	server := ftpServer("contents of the file", nil)
	defer server.Close()
	helper := ftpHelper{established: func(data *framework.Connection) {
		fmt.Println("a data connection of listener", data.Parent().Listener())
	}}
	fw, err := framework.New(framework.Config{
		Logger:    slog.New(slog.DiscardHandler),
		Upstreams: []framework.UpstreamConfig{{Name: "files", Servers: []string{server.Addr().String()}}},
		Filters:   []framework.FilterConfig{{Name: "ftp", Filter: helper}},
		Listeners: []framework.ListenerConfig{{Name: "ftp", Listen: "127.0.0.1:0", Upstream: "files", Filters: []string{"ftp"}}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := fw.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	retrieve(ctx, fw.ListenAddress("ftp").String())
	if err := fw.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// a data connection of listener ftp
	// contents of the file
}

// retrieve is a client of FTP; it prints a file.
func retrieve(ctx context.Context, address string) {
	control, err := textproto.Dial("tcp", address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer control.Close()
	say := func(line string) string {
		if line != "" {
			_ = control.PrintfLine("%s", line) // the answer tells
		}
		answer, err := control.ReadLine()
		if err != nil {
			fmt.Println(err)
		}
		return answer
	}
	say("")
	passive := passiveReply.FindStringSubmatch(say("PASV"))
	if passive == nil {
		return
	}
	data, err := (&net.Dialer{}).DialContext(ctx, "tcp", parseHostPort(passive[1]).String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer data.Close()
	say("RETR file")
	text, err := io.ReadAll(data)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(string(text))
	say("")
	say("QUIT")
}
