package scripting

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// referencePage describes everything that scripts can call.
const referencePage = "../docs/reference/lua.md"

// documented is what the page calls the objects of a class, and their methods.
type documented struct {
	prefix  string
	methods []binding
}

// documentedClasses has every field of types.
var documentedClasses = map[string]documented{
	"conn":       {"conn:", connMethods},
	"session":    {"session:", sessionMethods},
	"chunk":      {"chunk:", chunkMethods},
	"verdict":    {}, // has no methods
	"file":       {"f:", fileMethods},
	"timer":      {"timer:", timerMethods},
	"watch":      {"watch:", watchMethods},
	"set":        {"set:", setMethods},
	"firewall":   {"fwx.firewall:", firewallMethods},
	"handle":     {"handle:", handleMethods},
	"overlapped": {"overlapped:", overlappedMethods},
	"started":    {"ov:", startedMethods},
}

// documentedNames returns the names of the module, of all methods and of the
// fields of conn, as the page must spell them.
func documentedNames(t *testing.T) (names []string) {
	t.Helper()
	add := func(prefix string, bindings []binding) {
		for _, name := range namesOf(bindings) {
			names = append(names, prefix+name)
		}
	}
	add("fwx.", fwxFunctions)
	for _, m := range fwxModules {
		add("fwx."+m.name+".", m.functions)
	}
	for field := range reflect.TypeFor[types]().Fields() {
		class, ok := documentedClasses[field.Name]
		if !ok {
			t.Errorf("the class %s is not known here", field.Name)
		}
		add(class.prefix, class.methods)
	}
	for _, field := range connFields {
		names = append(names, "conn."+field.name)
	}
	return names
}

var (
	fencedCode = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```$")
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	qualified  = regexp.MustCompile(`[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)*`)
	part       = regexp.MustCompile(`\w+`)
	// ours are the names that can only be those of the module or of conn.
	ours = regexp.MustCompile(`^(?:fwx\.\w+(?:[.:]\w+)?|conn[.:]\w+)`)
)

// TestReference compares the reference page with the functions that there are.
func TestReference(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/globals.txt")
	if err != nil {
		t.Fatal(err)
	}
	code, words := codeOfPage(string(page))

	known := make(map[string]bool)
	for _, name := range documentedNames(t) {
		known[name] = true
		if !code[name] {
			t.Errorf("%s lacks `%s`", referencePage, name)
		}
	}
	for name := range strings.Lines(string(golden)) {
		name = strings.TrimSpace(name)
		known[name] = true
		if strings.HasPrefix(name, "fwx.") && !code[name] || !words[name[strings.LastIndexByte(name, '.')+1:]] {
			t.Errorf("%s lacks `%s`", referencePage, name)
		}
	}
	for _, name := range handlerNames {
		if !words[name] {
			t.Errorf("%s lacks `%s`", referencePage, name)
		}
	}
	for _, c := range codes {
		if !words[c.code] {
			t.Errorf("%s lacks the code `%q`", referencePage, c.code)
		}
	}
	for name := range code {
		if ours.MatchString(name) && !known[ours.FindString(name)] {
			t.Errorf("%s has `%s`, which is not there", referencePage, name)
		}
	}
}

// codeOfPage returns the names that stand in the page as code: "a.b.c" is also
// "a.b", "b.c" and so on. words are its parts.
func codeOfPage(page string) (code, words map[string]bool) {
	code, words = make(map[string]bool), make(map[string]bool)
	inline := inlineCode.FindAllStringSubmatch(fencedCode.ReplaceAllString(page, ""), -1)
	spans := append(fencedCode.FindAllStringSubmatch(page, -1), inline...)
	for _, span := range spans {
		for _, name := range qualified.FindAllString(span[1], -1) {
			parts := part.FindAllStringIndex(name, -1)
			for i, from := range parts {
				words[name[from[0]:from[1]]] = true
				for _, to := range parts[i:] {
					code[name[from[0]:to[1]]] = true
				}
			}
		}
	}
	return code, words
}
