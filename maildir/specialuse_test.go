package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestSpecialUseFollows(t *testing.T) {
	ctx := t.Context()
	dir := filepath.Join(t.TempDir(), "Maildir")
	tree := testTree(t, testStore(t, Options{}), dir)
	uses := func(want string) {
		t.Helper()
		got, err := tree.SpecialUses()
		must(t, err)
		if fmt.Sprint(got) != "map["+want+"]" {
			t.Errorf("%v, not %s", got, want)
		}
	}
	create := func(name, attr string) {
		t.Helper()
		must(t, tree.Create(ctx, name, nil))
		if attr != "" {
			must(t, tree.SetSpecialUse(ctx, name, attr))
		}
	}
	create("Old", `\Archive`)
	create("Old/Sent", `\Sent`)
	create("Oldest", `\Trash`)
	must(t, tree.Rename(ctx, "Old", "New"))
	uses(`New:\Archive New/Sent:\Sent Oldest:\Trash`)
	// What is made in its place has no use, nor when it was removed by others.
	create("Old", "")
	uses(`New:\Archive New/Sent:\Sent Oldest:\Trash`)
	must(t, tree.Delete(ctx, "New/Sent"))
	create("New/Sent", "")
	must(t, os.RemoveAll(dir+"/.Oldest"))
	create("Oldest", "")
	uses(`New:\Archive`)
	// A rename that fails takes nothing away.
	must(t, tree.Delete(ctx, "Old"))
	if err := tree.Rename(ctx, "New", "Oldest"); err == nil {
		t.Error("renamed over another")
	}
	uses(`New:\Archive`)
	data, err := os.ReadFile(dir + "/" + specialUseName)
	must(t, err)
	if string(data) != "\\Archive .New\n" {
		t.Errorf("%q", data)
	}
}
