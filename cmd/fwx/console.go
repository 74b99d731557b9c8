package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"fwx/framework"
	"fwx/framework/admin"
	"fwx/framework/balance"
	"fwx/framework/completion"
)

const (
	// consoleTimeout bounds each request to the gateway.
	consoleTimeout = 30 * time.Second
	// maxAnswer bounds its answer, in bytes.
	maxAnswer = 64 << 20
	// prompt is what an operator at a terminal sees.
	prompt = "fwx> "
)

// consoleCommand is a command of the console.
type consoleCommand struct {
	name, args, summary string
	run                 func(c *console, ctx context.Context, arg string) error
}

func consoleCommands() []consoleCommand {
	return []consoleCommand{
		{"list", "[ID]", "list connections, those behind number ID", (*console).list},
		{"show", "ID", "show a connection, and what its handlers wait for", (*console).show},
		{"kill", "ID", "reset a connection", (*console).kill},
		{"upstreams", "", "list the upstreams and their servers", (*console).upstreams},
		{"drain", "UPSTREAM SERVER", "give a server no new connections", (*console).drain},
		{"ready", "UPSTREAM SERVER", "give it some again", (*console).ready},
		{"filters", "", "list the filters, with what has failed and what waits", (*console).filters},
		{"alerts", "", "list the last alerts", (*console).alerts},
		{"gateway", "", "show the state of the gateway and its completion port", (*console).gateway},
		{"eval", "LUA", "evaluate Lua that looks at the gateway: conns(), conn(ID), filters(), shared.get(KEY)", (*console).eval},
		{"help", "", "list the commands", (*console).help},
		{"quit", "", "leave the console", func(*console, context.Context, string) error { return errQuit }},
	}
}

// errQuit ends the console.
var errQuit = errors.New("quit")

// console is attached to the admin listener of a gateway.
type console struct {
	client http.Client
	base   string
	out    io.Writer
}

// runConsole attaches to a running gateway and carries out commands: the one on the
// command line, or those of the standard input.
func runConsole(ctx context.Context, p program, args []string) error {
	config, address := defaultConfig, ""
	words, err := p.parseArguments("console", args, func(f *flag.FlagSet) {
		f.StringVar(&config, "c", defaultConfig, "the configuration `FILE` that names the admin listener")
		f.StringVar(&address, "a", "", "the `ADDRESS` of the admin listener instead: 127.0.0.1:9901 or unix:/path")
	})
	if err != nil {
		return err
	}
	if address == "" {
		if address, err = adminAddress(config); err != nil {
			return err
		}
	}
	c, err := newConsole(address, p.out)
	if err != nil {
		return err
	}
	defer c.client.CloseIdleConnections()
	if len(words) > 0 {
		return c.do(ctx, strings.Join(words, " "))
	}
	return c.converse(ctx, p.err, os.Stdin)
}

// adminAddress returns the address of the admin listener that a configuration names.
func adminAddress(path string) (string, error) {
	config, err := framework.LoadConfig(path)
	if err != nil {
		return "", err
	}
	address, err := completion.ParseAddress(config.Admin.Listen)
	switch {
	case config.Admin.Listen == "":
		return "", fmt.Errorf("%s has no [admin] listener; -a names one", path)
	case err != nil:
		return "", err
	case address.IsUnix() && !filepath.IsAbs(address.Path):
		address.Path = filepath.Join(config.Dir, address.Path)
	case !address.IsUnix() && address.Port() == 0:
		return "", fmt.Errorf("%s lets the system choose the port of the admin listener, which the log of the gateway tells; name it by -a", path)
	}
	return address.String(), nil
}

func newConsole(text string, out io.Writer) (*console, error) {
	address, err := completion.ParseAddress(text)
	if err != nil {
		return nil, err
	}
	network, target := "tcp", address.AddrPort.String()
	c := &console{base: "http://" + target, out: out}
	if address.IsUnix() {
		network, target = "unix", address.Path
		c.base = "http://localhost"
	}
	c.client = http.Client{Timeout: consoleTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, target)
		},
	}}
	return c, nil
}

// converse carries out the lines of the input. At a terminal a command that fails
// is told; otherwise it makes the program fail too, at the end.
func (c *console) converse(ctx context.Context, complaints io.Writer, in *os.File) error {
	info, err := in.Stat()
	atTerminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	lines := readLines(in)
	failed := false
	for {
		if atTerminal {
			fmt.Fprint(complaints, prompt)
		}
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-lines:
			if !ok {
				return c.ended(failed)
			}
			switch err := c.do(ctx, line); {
			case err == errQuit: //nolint:errorlint // it is never wrapped
				return c.ended(failed)
			case err != nil:
				fmt.Fprintf(complaints, "fwx: %v\n", err)
				failed = !atTerminal
			}
		}
	}
}

// ended says whether a command of the input has failed.
func (c *console) ended(failed bool) error {
	if failed {
		return errors.New("not all commands succeeded")
	}
	return nil
}

// readLines reads lines on a goroutine, so that a signal ends the wait for one.
func readLines(in io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// do carries out one command.
func (c *console) do(ctx context.Context, line string) error {
	name, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	if name == "" {
		return nil
	}
	commands := consoleCommands()
	for _, command := range commands {
		if command.name != name {
			continue
		}
		arg = strings.TrimSpace(arg)
		if required := command.args != "" && command.args[0] != '['; arg == "" && required || arg != "" && command.args == "" {
			return fmt.Errorf("usage: %s", strings.TrimSpace(command.name+" "+command.args))
		}
		return command.run(c, ctx, arg)
	}
	names := make([]string, len(commands))
	for i := range commands {
		names[i] = commands[i].name
	}
	return &framework.UnknownNameError{What: "command", Name: name, Known: names}
}

// request asks the gateway and decodes its answer.
func (c *console) request(ctx context.Context, method, path string, body io.Reader, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body) //nolint:gosec // the operator says which gateway
	if err != nil {
		return err
	}
	response, err := c.client.Do(request) //nolint:gosec // as above
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return fmt.Errorf("the gateway cannot be reached: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var failure admin.Failure
		if json.Unmarshal(text, &failure) != nil || failure.Error == "" {
			failure.Error = response.Status
		}
		return errors.New(failure.Error)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("the answer is not that of a gateway: %w", err)
	}
	return nil
}

func (c *console) get(ctx context.Context, path string, answer any) error {
	return c.request(ctx, http.MethodGet, path, nil, answer)
}

// number checks an argument that is the number of a connection.
func number(arg string) error {
	if _, err := strconv.ParseUint(arg, 10, 63); err != nil {
		return fmt.Errorf("%q is not the number of a connection", arg)
	}
	return nil
}

func (c *console) list(ctx context.Context, after string) error {
	if after == "" {
		after = "0"
	}
	if err := number(after); err != nil {
		return err
	}
	var list admin.ConnectionList
	if err := c.get(ctx, "/api/connections?after="+after, &list); err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tCLIENT\tSERVER\tLISTENER\tSTATE\tAGE\tUP\tDOWN\tHELD BY")
	for _, i := range list.Connections {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
			i.ID, orDash(i.Client), orDash(i.Server), i.Listener, i.State, seconds(i.Age), i.BytesUp, i.BytesDown, orDash(holders(i.Holds)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d open", list.Open)
	if list.More {
		fmt.Fprintf(c.out, "; more: list %d", list.Connections[len(list.Connections)-1].ID)
	}
	fmt.Fprintln(c.out)
	return nil
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// seconds writes a duration as an operator reads it.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}

func holders(holds []framework.HoldInfo) string {
	names := make([]string, len(holds))
	for i, h := range holds {
		names[i] = h.Filter
	}
	return strings.Join(names, ",")
}

func (c *console) show(ctx context.Context, id string) error {
	if err := number(id); err != nil {
		return err
	}
	var i framework.ConnectionInfo
	if err := c.get(ctx, "/api/connections/"+id, &i); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "connection %d on worker %d: %s\n", i.ID, i.Worker, i.State)
	for _, line := range [][2]string{
		{"client", i.Client},
		{"server", i.Server},
		{"listener", i.Listener},
		{"upstream", i.Upstream},
		{"filters", strings.Join(i.Filters, ", ")},
		{"age", seconds(i.Age)},
		{"idle", seconds(i.Idle)},
		{"bytes", fmt.Sprintf("%d up, %d down", i.BytesUp, i.BytesDown)},
		{"verdict", i.Verdict},
		{"reason", plain(i.Reason)},
		{"ended by", i.EndedBy},
	} {
		fmt.Fprintf(c.out, "  %-9s %s\n", line[0], orDash(line[1]))
	}
	for _, h := range i.Holds {
		fmt.Fprintf(c.out, "  held by %s for %s: %s\n", h.Filter, seconds(h.Seconds), h.What)
		for _, w := range h.Waits {
			fmt.Fprintf(c.out, "    %s waits for %s: %s at %s\n", w.Handler, seconds(w.Seconds), orDash(w.Call), orDash(w.At))
		}
	}
	return nil
}

func (c *console) kill(ctx context.Context, id string) error {
	if err := number(id); err != nil {
		return err
	}
	if err := c.request(ctx, http.MethodPost, "/api/connections/"+id+"/kill", nil, nil); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "killed", id)
	return nil
}

func (c *console) filters(ctx context.Context, _ string) error {
	var list []framework.FilterInfo
	if err := c.get(ctx, "/api/filters", &list); err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tKIND\tLISTENERS\tFAILURES\tMEASUREMENTS")
	for _, f := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", f.Name, orDash(f.Kind), orDash(strings.Join(f.Listeners, ",")), f.Failures, orDash(measurements(f)))
	}
	return table.Flush()
}

func (c *console) alerts(ctx context.Context, _ string) error {
	var list []framework.Alert
	if err := c.get(ctx, "/api/alerts", &list); err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tFILTER\tWORKER\tALERT")
	for _, a := range list {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", a.Time.Local().Format(time.DateTime), a.Filter, a.Worker, plain(a.Text))
	}
	return table.Flush()
}

func (c *console) upstreams(ctx context.Context, _ string) error {
	var list []framework.UpstreamInfo
	if err := c.get(ctx, "/api/upstreams", &list); err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "UPSTREAM\tSERVER\tNAME\tSTATE\tWEIGHT\tOPEN\tCHOSEN\tFAILED\tREASON")
	for _, u := range list {
		for _, s := range u.Servers {
			weight := strconv.Itoa(s.Weight)
			if s.Backup {
				weight += " backup"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n",
				u.Name, s.Address, s.Name, s.State, weight, s.Connections, s.Chosen, s.Failed, orDash(plain(s.Reason)))
		}
	}
	return table.Flush()
}

func (c *console) drain(ctx context.Context, which string) error {
	return c.change(ctx, which, "drain")
}

func (c *console) ready(ctx context.Context, which string) error {
	return c.change(ctx, which, "ready")
}

// change drains a server or makes it ready again, and tells what it is now.
func (c *console) change(ctx context.Context, which, what string) error {
	name, server, ok := strings.Cut(which, " ")
	if !ok {
		return fmt.Errorf("usage: %s UPSTREAM SERVER", what)
	}
	path := "/api/upstreams/" + url.PathEscape(name) + "/servers/" + url.PathEscape(strings.TrimSpace(server)) + "/" + what
	var servers []balance.Info
	if err := c.request(ctx, http.MethodPost, path, nil, &servers); err != nil {
		return err
	}
	for _, s := range servers {
		fmt.Fprintf(c.out, "%s is %s, connections %d\n", s.Address, s.State, s.Connections)
	}
	return nil
}

func measurements(f framework.FilterInfo) string {
	texts := make([]string, 0, len(f.Measurements))
	for _, name := range slices.Sorted(maps.Keys(f.Measurements)) {
		texts = append(texts, fmt.Sprintf("%s=%v", strings.TrimPrefix(name, "fwx_"), f.Measurements[name]))
	}
	return strings.Join(texts, " ")
}

func (c *console) gateway(ctx context.Context, _ string) error {
	var g admin.Gateway
	if err := c.get(ctx, "/api/gateway", &g); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "ready %t, connections %d\nbackend %s (%s), workers %d\n", g.Ready, g.Open, g.Backend, g.Reason, g.Workers)
	if len(g.Stuck) > 0 {
		fmt.Fprintln(c.out, "workers that do not answer:", g.Stuck)
	}
	return nil
}

func (c *console) eval(ctx context.Context, source string) error {
	var e admin.Evaluation
	if err := c.request(ctx, http.MethodPost, "/api/eval", strings.NewReader(source), &e); err != nil {
		return err
	}
	fmt.Fprint(c.out, plain(e.Output))
	if e.Error != "" {
		return errors.New(plain(e.Error))
	}
	return nil
}

// plain replaces what a terminal could take for a command: some text comes from
// clients.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, text)
}

func (c *console) help(context.Context, string) error {
	for _, command := range consoleCommands() {
		fmt.Fprintf(c.out, "  %-22s %s\n", command.name+" "+command.args, command.summary)
	}
	return nil
}
