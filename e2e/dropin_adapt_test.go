package e2e

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"cellos.io/cellos/evidence/eventtest"
)

// adapt changes a stored case where this program does something else on purpose, or where the case needs something of the host. If the
// host lacks that, it returns what.
func adapt(t *testing.T, u user, c *eventtest.Case) (lacks string) {
	t.Helper()
	say := func(old, new string) {
		if !bytes.Contains(c.Stream, []byte(old)) {
			t.Errorf("%s: the stored stream does not hold %s", c.Name, old)
		}
		c.Stream = bytes.ReplaceAll(c.Stream, []byte(old), []byte(new))
	}
	switch c.Name {
	case "secrets-env": // its argv holds the secret, which is in no event of ours
		say(`= s3cr3t-v4lue"`, `= [secret]"`)
	case "dns-proxy": // a granted name is answered with a stand-in; servers are asked when somebody connects to it
		say(`"decision":"deny","issuerKid":"cellos-local-resolve-v0","keysetId":"cellos:builtin-v0","observedAt":"<time>","policyDigest":"sha256:d02050ef7ac87f06acc37789292e2495349719c4a8671732a86c94883f65da65","queryId":"<uuid:15>","queryName":"api.example.com","queryType":"A","reasonCode":"upstream_failure","responseRcode":2,"responseTargetCount":0,"runId":"run-local-001","schemaVersion":"1.0.0","upstreamLatencyMs":"<ms>","upstreamResolverId":"res-1"`,
			`"decision":"allow","issuerKid":"cellos-local-resolve-v0","keysetId":"cellos:builtin-v0","observedAt":"<time>","policyDigest":"sha256:d02050ef7ac87f06acc37789292e2495349719c4a8671732a86c94883f65da65","queryId":"<uuid:15>","queryName":"api.example.com","queryType":"A","reasonCode":"allowed_by_allowlist","responseRcode":0,"responseTargetCount":1,"runId":"run-local-001","schemaVersion":"1.0.0"`)
	case "gvisor":
		if c.Env["CELLOS_GVISOR_RUNSC_BIN"] = runsc(t); c.Env["CELLOS_GVISOR_RUNSC_BIN"] == "" {
			return "runsc (sh backend/gvisor/runsc/build.sh)"
		}
	case "cgroup-limits":
		return adaptLimits(t, u, c)
	}
	return ""
}

// adaptLimits gives the case a folder of version 2 if there is one with the controllers. Where they are of version 1, root limits without
// a folder.
func adaptLimits(t *testing.T, u user, c *eventtest.Case) (lacks string) {
	t.Helper()
	const two = "/sys/fs/cgroup"
	switch usable, _ := os.ReadFile(two + "/cgroup.subtree_control"); {
	case u.uid != 0:
		return "root, or a delegated control group"
	case strings.Contains(string(usable), "memory") && strings.Contains(string(usable), "cpu"):
		dir, err := os.MkdirTemp(two, "cellos-e2e-")
		if err != nil {
			return "a control group of version 2 in which one can be made: " + err.Error()
		}
		t.Cleanup(func() { os.Remove(dir) })
		c.Env["CELLOS_CGROUP_PARENT"] = dir
	case controller("memory"):
		delete(c.Env, "CELLOS_CGROUP_PARENT")
	default:
		return "control groups"
	}
	return ""
}
