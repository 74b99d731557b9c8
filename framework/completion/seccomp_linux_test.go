//go:build !portable

package completion_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"fwx/framework/completion"
)

// seccompVariable tells the process that TestSeccomp starts to refuse itself io_uring.
const seccompVariable = "FWX_TEST_SECCOMP"

// TestSeccomp lets the port run where io_uring is refused as the default
// profiles of container engines refuse it.
func TestSeccomp(t *testing.T) {
	if os.Getenv(seccompVariable) != "" {
		underSeccomp(t)
		return
	}
	self, err := os.Executable()
	check(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestSeccomp$", "-test.v")
	cmd.Env = append(os.Environ(), seccompVariable+"=1")
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("no seccomp here:\n%s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Fatalf("under seccomp: %v\n%s", err, out)
	}
}

func underSeccomp(t *testing.T) {
	t.Helper()
	if err := refuseIoUring(); err != nil {
		t.Skip(err)
	}
	w := open(t, "auto")
	info := w.Port().Info()
	if info.Backend != "epoll" {
		t.Errorf("backend %q", info.Backend)
	}
	for _, part := range []string{"io_uring was refused", "operation not permitted"} {
		if !strings.Contains(info.Reason, part) {
			t.Errorf("reason %q lacks %q", info.Reason, part)
		}
	}
	if _, err := completion.New(completion.Options{Backend: "io_uring"}); err == nil {
		t.Error("io_uring could be chosen")
	}
	for _, p := range completion.Probe() {
		if refused := p.Err != nil; refused != (p.Backend == "io_uring") {
			t.Errorf("probe of %s: %v", p.Backend, p.Err)
		}
	}
	conn := dial(t, serveEcho(t, w))
	defer conn.Close()
	buf := []byte("hello")
	roundTrip(t, conn, buf)
	if string(buf) != "hello" {
		t.Errorf("echoed %q", buf)
	}
}

// refuseIoUring has all threads of the process get EPERM for io_uring_setup,
// io_uring_enter and io_uring_register, which are neighbours.
func refuseIoUring() error {
	// The filter is installed by the thread that has given up new privileges.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: unix.SYS_IO_URING_SETUP, Jf: 2},
		{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: unix.SYS_IO_URING_REGISTER, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}
