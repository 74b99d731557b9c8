package framework

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sdkPage is the map from the SDK to the framework.
const sdkPage = "../docs/reference/sdk.md"

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Example)\w*)\(`)
	suiteRow     = regexp.MustCompile(`(?m)^\t\{name: ("[^"]*")`)
	pageTest     = regexp.MustCompile("`((?:Test|Example)[A-Z_]\\w*|\"(?:[CI][0-9]+|[a-z]+/)[^`]*\")`")
	pageRow      = regexp.MustCompile(`(?m)^\| C([0-9]+) \|.*\| (.*) \|$`)
)

// testNames returns the tests of the module and the rows of the port's suite, quoted.
func testNames(t *testing.T) (names []string) {
	t.Helper()
	check(t, filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		pattern := suiteRow
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, "_test.go"):
			pattern = testFunction
		case filepath.Base(filepath.Dir(path)) != "completiontest" || filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of this module
		for _, m := range pattern.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		return err
	}))
	return names
}

// TestSDKPage sees that every test that the page names exists, and that it has
// each row of the conformance table once, with a test or a reason.
func TestSDKPage(t *testing.T) {
	text := string(must(os.ReadFile(sdkPage))(t))
	names := testNames(t)
	for _, m := range pageTest.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			t.Errorf("there is no test %s", m[1])
		}
	}
	for i, m := range pageRow.FindAllStringSubmatch(text, -1) {
		if want := strconv.Itoa(i + 1); m[1] != want {
			t.Fatalf("row C%s stands where C%s belongs", m[1], want)
		}
		if !pageTest.MatchString(m[2]) && !strings.Contains(m[2], "dropped") {
			t.Errorf("C%s has neither a test nor a reason", m[1])
		}
	}
	if n := len(pageRow.FindAllString(text, -1)); n != 50 {
		t.Errorf("the page has %d rows of 50", n)
	}
}

// pageName is a name of Go on the page: of a package or of a type.
var pageName = regexp.MustCompile("`(?:completion\\.)?([A-Z]\\w*)\\.([A-Z]\\w*)`|`completion\\.([A-Z]\\w*)`")

// TestSDKPageNames sees that the types, methods and values that the page names
// with their package or type exist.
func TestSDKPageNames(t *testing.T) {
	text := string(must(os.ReadFile(sdkPage))(t))
	var source strings.Builder
	for _, dir := range []string{".", "completion"} {
		for _, path := range must(filepath.Glob(filepath.Join(dir, "*.go")))(t) {
			if !strings.HasSuffix(path, "_test.go") {
				source.Write(must(os.ReadFile(path))(t))
			}
		}
	}
	for _, m := range pageName.FindAllStringSubmatch(text, -1) {
		pattern := fmt.Sprintf(`(?m)^(?:type|var|func|\t)? ?%s\b`, m[3])
		if m[3] == "" {
			// A method of the type or of what it embeds, or one of an interface.
			pattern = fmt.Sprintf(`(?m)^(?:func \(\w+ \*?(?:%s|descriptor)\) |\t)%s\b`, m[1], m[2])
		}
		if !regexp.MustCompile(pattern).MatchString(source.String()) {
			t.Errorf("the page names %s, which there is not", m[0])
		}
	}
}
