package completiontest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"fwx/framework/completion"
)

var fileOpRows = []row{
	{name: "files/gathering writes", test: gatherFile},
	{name: "files/gathering writes to a pipe", test: gatherPipe},
	{name: "files/gathering writes, misuse", test: gatherMisuse},
	{name: "files/truncate and stat", test: truncateAndStat},
	{name: "files/close while one is looked at", test: closeWhileStat},
	{name: "files/names", test: names},
	{name: "files/names beneath a root", test: namesBeneath},
}

// manyPieces returns data in more pieces than a system call takes, some empty.
func manyPieces() (pieces [][]byte, whole []byte) {
	for i := range 3000 {
		pieces = append(pieces, bytes.Repeat([]byte{byte(i)}, i%200))
		whole = append(whole, pieces[i]...)
	}
	return pieces, whole
}

func gathering(h *completion.Handle, offset int64, bufs [][]byte) func(*completion.Overlapped) error {
	return func(o *completion.Overlapped) error {
		ov, err := overlapped(o, offset)
		if err != nil {
			return err
		}
		return h.WriteFileGather(ov, bufs)
	}
}

// needsGather skips a row where there are no writes of several pieces.
func (r *rig) needsGather() {
	r.Helper()
	r.needsSystem("writes of several pieces")
}

func gatherFile(r *rig) {
	r.needsGather()
	h := r.file(r.content(nil), os.O_RDWR)
	pieces, whole := manyPieces()
	for _, offset := range []int64{0, 12345} {
		if res := r.op().begin(gathering(h, offset, pieces)).ok(); res.n != len(whole) {
			r.Errorf("wrote %d bytes of %d", res.n, len(whole))
		}
		got := make([]byte, len(whole))
		r.op().begin(reading(h, offset, got)).ok()
		if !bytes.Equal(got, whole) {
			r.Error("something else was written")
		}
	}
	readOnly := r.file(r.content(nil), os.O_RDONLY)
	if res := r.op().begin(gathering(readOnly, 0, pieces)).wait(); res.err == nil || res.n != 0 {
		r.Errorf("a file that is open for reading took %d bytes, %v", res.n, res.err)
	}
}

func gatherPipe(r *rig) {
	r.needsGather()
	read, write := r.pipe()
	pieces, whole := manyPieces() // more than the pipe holds
	p := r.op().begin(gathering(write, 0, pieces))
	var got []byte
	for len(got) < len(whole) {
		buf := make([]byte, 32<<10)
		res := r.op().begin(reading(read, 0, buf)).ok()
		got = append(got, buf[:res.n]...)
	}
	if res := p.ok(); res.n != len(whole) || !bytes.Equal(got, whole) {
		r.Errorf("wrote %d bytes of %d", res.n, len(whole))
	}
	full := r.op().begin(gathering(write, 0, append(pieces, pieces...)))
	r.must(full.cancel())
	if res := full.wait(); !errors.Is(res.err, completion.ErrOperationAborted) {
		r.Errorf("a cancelled write: %d bytes, %v", res.n, res.err)
	}
}

func gatherMisuse(r *rig) {
	r.needsGather()
	h := r.file(r.content(nil), os.O_RDWR)
	r.is(r.op().try(gathering(h, 0, nil)), completion.ErrInvalidArgument)
	r.is(r.op().try(gathering(h, 0, [][]byte{nil, {}})), completion.ErrInvalidArgument)
	r.is(r.op().try(gathering(h, -1, [][]byte{{1}})), completion.ErrInvalidArgument)
	r.close(h)
	r.is(r.op().try(gathering(h, 0, [][]byte{{1}})), completion.ErrHandleClosed)
}

func (r *rig) statOf(begin func(*completion.Overlapped) error) os.FileInfo {
	r.Helper()
	info, ok := r.op().begin(begin).ok().value.(os.FileInfo)
	if !ok {
		r.Fatal("Stat gave no FileInfo")
	}
	return info
}

func truncateAndStat(r *rig) {
	h := r.file(r.content([]byte("content")), os.O_RDWR)
	for _, size := range []int64{3, 100, 0} {
		r.op().begin(func(o *completion.Overlapped) error { return h.Truncate(o, size) }).ok()
		if info := r.statOf(h.Stat); info.Size() != size || !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			r.Errorf("size %d, mode %v; want %d", info.Size(), info.Mode(), size)
		}
	}
	r.is(r.op().try(func(o *completion.Overlapped) error { return h.Truncate(o, -1) }), completion.ErrInvalidArgument)
	read, _ := r.pipe()
	if res := r.op().begin(func(o *completion.Overlapped) error { return read.Truncate(o, 0) }).wait(); res.err == nil {
		r.Error("a pipe could be truncated")
	}
}

func closeWhileStat(r *rig) {
	h := r.file(r.content([]byte("content")), os.O_RDWR)
	ops := r.someOps(100)
	r.startAll(ops, func(int) func(*completion.Overlapped) error { return h.Stat })
	r.on(func() { _ = h.Close() })
	for _, p := range ops {
		if res := p.wait(); res.err != nil && !errors.Is(res.err, completion.ErrOperationAborted) {
			r.Error(res.err)
		}
	}
	r.is(r.op().try(h.Stat), completion.ErrHandleClosed)
}

func names(r *rig) {
	r.names(nil, r.TempDir())
}

func namesBeneath(r *rig) {
	folder := r.TempDir()
	outside := r.content([]byte("secret"))
	root := r.root(folder)
	r.names(root, "")
	r.put(root, "own", "")
	leading := []string{outside, "../x"}
	if r.kit.memory() == nil {
		r.must(os.Symlink(outside, filepath.Join(folder, "link")))
		leading = append(leading, "link")
	}
	for _, name := range leading {
		if res := r.op().begin(func(o *completion.Overlapped) error { return r.w.Stat(o, root, name) }).wait(); res.err == nil {
			r.Errorf("%q was seen beneath the root", name)
		}
		if res := r.op().begin(func(o *completion.Overlapped) error { return r.w.List(o, root, filepath.Dir(name)+"/..") }).wait(); res.err == nil {
			r.Errorf("what is about %q was listed beneath the root", name)
		}
		if name == "link" {
			continue // which may be renamed and removed itself
		}
		if res := r.op().begin(func(o *completion.Overlapped) error { return r.w.Rename(o, root, "own", name) }).wait(); res.err == nil {
			r.Errorf("a file went from beneath the root to %q", name)
		}
		if res := r.op().begin(func(o *completion.Overlapped) error { return r.w.Remove(o, root, name) }).wait(); res.err == nil {
			r.Errorf("%q was removed beneath the root", name)
		}
	}
	if _, err := r.port.Stat(outside); err != nil {
		r.Error(err)
	}
}

// names does what can be done with names in an empty directory.
func (r *rig) names(root *completion.Root, folder string) {
	r.Helper()
	in := func(name string) string { return filepath.Join(folder, name) }
	base := folder
	if root != nil {
		base = root.Path()
	}
	for _, name := range []string{"c", "a", "b"} {
		r.must(r.write(filepath.Join(base, name), nil))
	}
	if info := r.statOf(func(o *completion.Overlapped) error { return r.w.Stat(o, root, in("a")) }); info.Name() != "a" || info.IsDir() {
		r.Errorf("a is %v", info)
	}
	r.op().begin(func(o *completion.Overlapped) error { return r.w.Rename(o, root, in("a"), in("z")) }).ok()
	r.op().begin(func(o *completion.Overlapped) error { return r.w.Remove(o, root, in("c")) }).ok()
	listed, ok := r.op().begin(func(o *completion.Overlapped) error { return r.w.List(o, root, in(".")) }).ok().value.([]string)
	if !ok || len(listed) != 2 || listed[0] != "b" || listed[1] != "z" {
		r.Errorf("listed %v", listed)
	}
	for _, begin := range []func(*completion.Overlapped) error{
		func(o *completion.Overlapped) error { return r.w.Stat(o, root, in("a")) },
		func(o *completion.Overlapped) error { return r.w.Rename(o, root, in("a"), in("b")) },
		func(o *completion.Overlapped) error { return r.w.Remove(o, root, in("a")) },
		func(o *completion.Overlapped) error { return r.w.List(o, root, in("a")) },
	} {
		if res := r.op().begin(begin).wait(); !errors.Is(res.err, fs.ErrNotExist) || res.value != nil {
			r.Errorf("%v, %v", res.value, res.err)
		}
	}
	r.is(r.op().try(func(o *completion.Overlapped) error { return r.w.Stat(o, root, "") }), completion.ErrInvalidArgument)
}
