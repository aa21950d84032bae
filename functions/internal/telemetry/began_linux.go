package telemetry

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ticks are what the kernel tells a process's begin in, in each second
// (sysconf(3), _SC_CLK_TCK: 100 on all of Go's platforms).
const ticks = 100

// processBegan is when the process was made, to a hundredth of a second
// (proc(5), /proc/pid/stat: starttime is the 22nd field, in ticks since boot).
func processBegan() time.Time {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return began
	}
	_, rest, ok := bytes.Cut(text, []byte(") ")) // the second field may hold spaces
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 20 {
		return began
	}
	start, err := strconv.ParseInt(string(fields[19]), 10, 64)
	var up unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return began
	}
	age := time.Duration(up.Nano()) - time.Duration(start)*time.Second/ticks
	if age < 0 || age > time.Since(began)+time.Minute {
		return began
	}
	return time.Now().Add(-age)
}
