package framework

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// reserved returns how much address space is reserved for receive buffers, in
// kB. A worker that has all its buffers back gives it back, too.
func reserved(t *testing.T) (sum int) {
	t.Helper()
	const size = 64 << 20 // what the heap grows by is smaller
	var info windows.MemoryBasicInformation
	for at, base, total := uintptr(0), uintptr(0), 0; ; at = info.BaseAddress + info.RegionSize {
		if windows.VirtualQuery(at, &info, unsafe.Sizeof(info)) != nil {
			return sum // the end of the address space
		}
		if info.State == memFree || info.AllocationBase != base {
			if total >= size {
				sum += total >> 10
			}
			base, total = info.AllocationBase, 0
		}
		if info.State != memFree {
			total += int(info.RegionSize)
		}
	}
}

const memFree = 0x10000 // MEM_FREE
