//go:build unix

package secret

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheck sees which modes are taken, and which are proposed instead.
func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const root, user = 0, 1000
	for _, tt := range []struct {
		mode, own, other fs.FileMode // what it should be if it is the user's own, and if it is not
	}{
		{0o600, 0o600, 0o600},
		{0o400, 0o400, 0o400},
		{0o640, 0o600, 0o640},
		{0o440, 0o400, 0o440},
		{0o660, 0o600, 0o640},
		{0o644, 0o600, 0o640},
		{0o604, 0o600, 0o600},
		{0o602, 0o600, 0o600},
		{0o666, 0o600, 0o640},
		{0o777, 0o700, 0o740},
	} {
		if got := tt.mode &^ forbiddenTo(user, true); got != tt.own {
			t.Errorf("%04o of the user: %04o", tt.mode, got)
		}
		if got := tt.mode &^ forbiddenTo(user, false); got != tt.other {
			t.Errorf("%04o of another: %04o", tt.mode, got)
		}
		if got := tt.mode &^ forbiddenTo(root, true); got != tt.other {
			t.Errorf("%04o of root: %04o", tt.mode, got)
		}
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		want := tt.mode &^ forbiddenTo(os.Geteuid(), true)
		if err := Check(path); (err == nil) != (want == tt.mode) || err != nil && !strings.HasSuffix(err.Error(), fmt.Sprintf("chmod %04o %s", uint32(want), path)) {
			t.Errorf("%04o: %v", uint32(tt.mode), err)
		}
	}
}

// TestWhatIsNotThere sees that what is no file is no mistake here.
func TestWhatIsNotThere(t *testing.T) {
	if err := Check(os.DevNull); err != nil {
		t.Error(err)
	}
	if err := Check(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing file is taken")
	}
}
