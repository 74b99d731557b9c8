package completion

import (
	"os"
	"syscall"
)

// Handle is a file, pipe, FIFO, terminal or other descriptor that has been
// hooked to the port: its operations complete on its worker.
type Handle struct{ descriptor }

// HookToCompletionPort hooks an open descriptor to the port
// (IFWXFirewall::HookToCompletionPort). From then on the descriptor belongs to
// the port, which closes it. A descriptor that is hooked already is
// ErrAlreadyHooked, one that is not open is EBADF. A pipe or another stream is
// set to non-blocking mode, for everyone who shares its open file description.
func (w *Worker) HookToCompletionPort(fd int) (*Handle, error) {
	w.checkThread()
	if w.closing {
		return nil, ErrPortClosed
	}
	h := &Handle{}
	if err := w.describe(&h.descriptor, fd); err != nil {
		return nil, err
	}
	h.shared = true
	if err := w.adopt(&h.descriptor, fd); err != nil {
		return nil, err
	}
	return h, nil
}

// adopt makes fd the descriptor d of this worker. On failure fd stays open and
// the caller's.
func (w *Worker) adopt(d *descriptor, fd int) error {
	d.worker, d.fd = w, fd
	if err := hooks.add(d); err != nil {
		return err
	}
	if err := w.backend.hook(d); err != nil {
		hooks.remove(fd)
		return err
	}
	return nil
}

// ReadFile starts to read into buf at ov.Offset. It completes with the bytes
// read, fewer than asked for at the end of the file, or with ErrHandleEOF. The
// buffer belongs to the port until then.
func (h *Handle) ReadFile(ov *OVERLAPPED, buf []byte) error {
	return h.transfer(ov, buf, opRead, opReadStream)
}

// WriteFile starts to write all of buf at ov.Offset. On failure the count
// tells how much was written before it. The buffer belongs to the port until
// the completion and must not change.
func (h *Handle) WriteFile(ov *OVERLAPPED, buf []byte) error {
	return h.transfer(ov, buf, opWrite, opWriteStream)
}

func (h *Handle) transfer(ov *OVERLAPPED, buf []byte, onFile, onStream opKind) error {
	if ov == nil || ov.owner == nil || ov.Offset < 0 || len(buf) == 0 {
		return ErrInvalidArgument
	}
	op := onStream
	if h.file {
		op = onFile
	}
	if err := h.opened(op); err != nil {
		return err
	}
	o := ov.owner
	if err := h.begin(o, op); err != nil {
		return err
	}
	o.buf = buf
	h.worker.backend.start(o)
	return nil
}

// opened refuses what a stream is not open for.
func (d *descriptor) opened(op opKind) error {
	if op == opReadStream && d.noRead || (op == opWriteStream || op == opWriteGatherStream) && d.noWrite {
		return syscall.EBADF
	}
	return nil
}

// Sync starts to bring what was written to the storage, as fsync does.
func (h *Handle) Sync(o *Overlapped) error {
	if err := h.begin(o, opSync); err != nil {
		return err
	}
	h.worker.backend.start(o)
	return nil
}

// begin is Worker.begin for a handle, which may not have been hooked at all.
func (d *descriptor) begin(o *Overlapped, op opKind) error {
	if d.worker == nil {
		return ErrHandleClosed
	}
	return d.worker.begin(o, d, op)
}

// OpenFile opens a file and hooks it. name is relative to the directory root,
// beneath which it is resolved: neither "..", nor a symbolic link, nor an
// absolute path leads out of it. A nil root takes the name as it is. flag and
// perm are those of os.OpenFile. o completes when it is done; TakeValue is the
// *Handle. Opening a FIFO does not wait for its other end: reading it does.
func (w *Worker) OpenFile(o *Overlapped, root *Root, name string, flag int, perm os.FileMode) error {
	return w.runBlocking(o, opOpen, folderLane(root, name), func() (any, error) {
		h := &Handle{}
		return h, w.openFile(&h.descriptor, root, name, flag, perm)
	})
}

// settleOpen hooks what OpenFile has opened.
func (w *Worker) settleOpen(o *Overlapped) {
	h, _ := o.value.(*Handle)
	if o.err == nil {
		fd := h.fd
		if o.err = w.adopt(&h.descriptor, fd); o.err != nil {
			closeFD(fd)
		}
	}
	if o.err != nil {
		o.value = nil
	}
}
