package storm

import (
	"os/exec"
	"testing"
)

// alone is one server in the whole storm.
func alone(title string, start func(s *site) *server) setting {
	return setting{title: title, tools: true, start: func(s *site) []*server { return []*server{start(s)} }}
}

func needPostroom(t *testing.T) {
	t.Helper()
	if *serverFlag != "postroom" {
		t.Skip("not with -server", *serverFlag)
	}
	t.Parallel()
}

// TestStorm is the whole storm on one server.
func TestStorm(t *testing.T) {
	t.Parallel()
	if *serverFlag == "dovecot" {
		set := alone("dovecot", (*site).dovecot)
		set.tolerated = func(string) bool { return true }
		set.run(t)
		return
	}
	t.Run("events", func(t *testing.T) {
		needPostroom(t)
		alone("events", (*site).postroom).run(t)
	})
	t.Run("overflow", func(t *testing.T) {
		needPostroom(t)
		set := alone("overflow", (*site).postroom)
		set.overflow = true
		set.run(t)
	})
	for title, limit := range map[string]string{
		"few watches": "max_inotify_watches=5", // less than the folders want
		"no events":   "max_inotify_instances=0",
	} {
		t.Run(title, func(t *testing.T) {
			needPostroom(t)
			if err := exec.Command("unshare", "-Ur", "true").Run(); err != nil {
				t.Skip("no user namespaces: ", err)
			}
			alone(title, func(s *site) *server { return s.postroomWith(limit) }).run(t)
		})
	}
}

// TestTwoServers has two Postrooms on one tree: one sequence of UIDs and of MODSEQs.
func TestTwoServers(t *testing.T) {
	needPostroom(t)
	setting{
		title: "two servers", tools: true, shared: true,
		start: func(s *site) []*server { return []*server{s.postroom(), s.postroom()} },
	}.run(t)
}

// TestDovecotToo has a Dovecot on the same tree.
func TestDovecotToo(t *testing.T) {
	t.Parallel()
	both := func(s *site) []*server { return []*server{s.postroom(), s.dovecot()} }
	t.Run("clients", func(t *testing.T) { // and a delivery agent: nothing may change its identity
		needPostroom(t)
		setting{title: "with Dovecot, clients", start: both}.run(t)
	})
	t.Run("tools", func(t *testing.T) { // what Dovecot does because of others is counted
		needPostroom(t)
		setting{title: "with Dovecot, tools", tools: true, start: both, tolerated: func(kind string) bool {
			return kind == "reassigned" || kind == "vanished" || kind == "resync"
		}}.run(t)
	})
}
