package completion_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"fwx/framework/completion"
)

// greeter opens a file, writes to it and reads it back: each step begins in
// the notification of the one before.
type greeter struct {
	file *completion.Handle
	done chan error
	step func(o *completion.Overlapped) error
}

func (g *greeter) CompleteAsyncIO(_ bool, _ int, err error, o *completion.Overlapped, user any) {
	if err == nil && g.step != nil {
		err = g.step(o)
		if err == nil {
			return
		}
	}
	if err == nil {
		fmt.Printf("%v: %s\n", user, o.Data())
		err = g.file.Close()
	}
	g.done <- err
}

func (g *greeter) write(o *completion.Overlapped) error {
	g.file, _ = o.TakeValue().(*completion.Handle)
	ov, err := o.GetOverlapped()
	if err != nil {
		return err
	}
	ov.Offset = 0
	g.step = g.read
	return g.file.WriteFile(ov, []byte("hello, port"))
}

func (g *greeter) read(o *completion.Overlapped) error {
	ov, err := o.GetOverlapped()
	if err != nil {
		return err
	}
	ov.Offset = 7
	g.step = nil
	return g.file.ReadFile(ov, make([]byte, 16))
}

func Example() {
	port, err := completion.New(completion.Options{Workers: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }() // a temporary one

	w := port.Workers()[0]
	g := &greeter{done: make(chan error, 1)}
	g.step = g.write
	err = w.Post(func() {
		o := w.CreateOverlapped()
		err := o.SetNotificationInterface(g, "read back")
		if err == nil {
			err = w.OpenFile(o, nil, filepath.Join(folder, "greeting"), os.O_CREATE|os.O_RDWR, 0o600)
		}
		if err != nil {
			g.done <- err
		}
	})
	if err == nil {
		err = <-g.done
	}
	fmt.Println("error:", err)
	fmt.Println("shutdown:", port.Shutdown(context.Background()))
	// Output:
	// read back: port
	// error: <nil>
	// shutdown: <nil>
}
