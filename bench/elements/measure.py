"""What bench/elements.sh runs: calls through an element at rising rates, and what they cost it.

A row is one element between a caller and a callee. Its rate is the highest of those offered at which CALLS calls all
succeed and begin at no less than 95 % of the rate. Beside it, at that rate: CPU seconds, user and system, of the
measured process and its children for 1,000 calls, its memory at most (of several processes: what they have at the end,
shared pages counted once), the CPU seconds of the caller for 1,000 calls, the messages that it had to send again, and
the time to the answer (by SIPp: the mean; of a replay: the median). With --watch, the memory of the measured process over time comes before its row.
"""

import argparse
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
BUFFER = "4194304"
ROWS = ["sipp-sipp", "kamailio-1", "kamailio-2", "stateful", "stateless", "sipp-ua", "ua-sipp", "ua-ua", "replay"]
WHAT = {
    "sipp-sipp": "SIPp to SIPp (measured: callee)",
    "kamailio-1": "Kamailio, 1 worker",
    "kamailio-2": "Kamailio, 2 workers",
    "stateful": "sipscope proxy --stateful",
    "stateless": "sipscope proxy --stateless",
    "sipp-ua": "SIPp to sipscope ua answer",
    "ua-sipp": "sipscope ua call to SIPp",
    "ua-ua": "sipscope ua call to ua answer (measured: callee)",
    "replay": "sipscope replay to SIPp",
}
CALLERS = ("ua-sipp", "replay")  # rows where the caller is what is measured


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sipscope", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--net", default="127.40.0", help="first three bytes of the loopback addresses")
    p.add_argument("--calls", type=int, default=20000)
    p.add_argument("--rate", type=int, default=0, help="measure at this rate only, instead of searching")
    p.add_argument("--rates", default="1000,20000,1000", help="lowest, highest, step of the search")
    p.add_argument("--rounds", type=int, default=1, help="all rows so often, in turn: the ratios of a round mean most")
    p.add_argument("--timeout", type=int, default=12, help="seconds a run may take beyond its due time")
    p.add_argument("--busy", type=float, default=1.5, help="remark on a load average above this")
    p.add_argument("--quiet", type=float, default=0, help="wait so many seconds for an idle machine before each run")
    p.add_argument("--watch", type=float, default=0, help="print the memory of the measured process so often, in seconds")
    p.add_argument("row", nargs="*", metavar="ROW", help=", ".join(ROWS))
    a = p.parse_args()
    if unknown := [r for r in a.row if r not in WHAT]:
        p.error("no row " + ", ".join(unknown))
    a.row = a.row or [r for r in ROWS if shutil.which("kamailio") or not r.startswith("kamailio")]
    return a


class Process:
    """A program that was started, with its CPU time and memory."""

    def __init__(self, command, log):
        self.log = open(log, "wb")
        self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=os.path.dirname(log))
        self.pid, self.base, self.cpu, self.peak = self.popen.pid, 0.0, 0.0, 0
        self.status, self.usage = None, None

    def family(self, pid=None):
        pid = pid or self.pid
        yield pid
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                children = f.read().split()
        except OSError:
            return
        for child in children:
            yield from self.family(int(child))

    def started(self):
        """Whatever it used up to here was for its start."""
        self.base = self.spent()

    def spent(self):
        total = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/stat") as f:
                    field = f.read().rsplit(")", 1)[1].split()
                total += int(field[11]) + int(field[12])
            except OSError:
                pass
        return total / TICK

    def look(self):
        """Notes CPU time and memory while it lives."""
        pids = list(self.family())
        self.cpu = self.spent() - self.base
        if len(pids) > 1:
            self.peak = sum(number(f"/proc/{p}/smaps_rollup", "Pss") for p in pids)
        else:
            self.peak = number(f"/proc/{self.pid}/status", "VmHWM")

    def wait(self, seconds):
        """Waits for its end; the exit status, or None when it takes longer."""
        end = time.monotonic() + seconds
        while self.status is None and time.monotonic() < end:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.status, self.usage = os.waitstatus_to_exitcode(status), usage
                self.popen.returncode = self.status
                self.log.close()
            else:
                time.sleep(0.01)
        return self.status

    def stop(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGTERM)
            if self.wait(5) is None:
                for pid in reversed(list(self.family())):
                    os.kill(pid, signal.SIGKILL)
                self.wait(5)


def number(path, name):
    """KiB of a line of /proc."""
    try:
        with open(path) as f:
            return int(re.search(rf"^{name}:\s+(\d+)", f.read(), re.M).group(1))
    except (OSError, AttributeError):
        return 0


class Bench:
    def __init__(self, a):
        self.a = a
        self.caller, self.proxy, self.callee = (f"{a.net}.{n}" for n in (1, 2, 3))

    def begin(self, name, *command):
        return Process(command, f"{self.a.work}/{name}.log")

    def sipp(self, name, address, to, *more):
        return self.begin(
            name, "sipp", to, "-sf", f"{HERE}/{name}.xml", "-i", address, "-p", "5060", "-buff_size", BUFFER, "-nostdin",
            "-max_recv_loops", "5000", "-max_sched_loops", "5000", *more)

    def middle(self, row):
        if row.startswith("kamailio"):
            return self.begin(
                row, "kamailio", "-DD", "-f", f"{HERE}/kamailio.cfg", "-l", f"udp:{self.proxy}:5060", "-n", row[-1],
                "-A", f'CALLEE="sip:{self.callee}:5060"', "-m", "2048", "-M", "32", "-Y", self.a.work,
                "-x", "fm", "-X", "fm")  # its default allocator, qm, is for debugging and many times slower
        return self.begin(
            row, self.a.sipscope, "proxy", "--" + row, "--record-route", "--format", "none", "--listen",
            f"udp:{self.proxy}:5060", "--route", f"*=sip:{self.callee}:5060")

    def call(self, row, rate):
        """Makes the calls; what became of them."""
        a, due = self.a, self.a.calls / rate
        calm(a.quiet)
        if row in ("sipp-ua", "ua-ua"):
            callee = self.begin("answer", a.sipscope, "ua", "answer", "--format", "none", "--media", "none", "--listen", f"udp:{self.callee}:5060")
        else:
            callee = self.sipp("uas", self.callee, self.caller)
        running = [callee]
        try:
            target, measured = self.callee, callee
            if row.startswith("kamailio") or row.startswith("state"):
                target, measured = self.proxy, self.middle(row)
                running.append(measured)
            time.sleep(1)
            for p in running:
                if p.wait(0.02) is not None:
                    return None, open(p.log.name).read()[-400:]
                p.started()
            caller = self.place(row, rate, target)
            running.append(caller)
            begun = time.monotonic()
            status = self.watch(measured if row not in CALLERS else caller, caller, due + a.timeout)
            took = time.monotonic() - begun
            if row in CALLERS:
                measured = caller
                if caller.usage:
                    caller.cpu = caller.usage.ru_utime + caller.usage.ru_stime
                    caller.peak = caller.usage.ru_maxrss
            else:
                measured.look()
            return self.verdict(row, rate, status, took, measured, caller)
        finally:
            for p in reversed(running):
                p.stop()

    def watch(self, measured, caller, seconds):
        """Waits for the caller, and prints the memory of the measured process meanwhile when that is asked for."""
        every = self.a.watch or seconds
        begun, status = time.monotonic(), None
        while status is None and (left := begun + seconds - time.monotonic()) > 0:
            status = caller.wait(min(every, left))
            if self.a.watch:
                now = sum(number(f"/proc/{p}/status", "VmRSS") for p in measured.family()) / 1024
                print(f"  {time.monotonic() - begun:5.0f} s {now:6.0f} MiB", flush=True)
        return status

    def record(self, target):
        """A recording of one call, made when it is needed first."""
        path = f"{self.a.work}/basic.pcapng"
        if not os.path.exists(path):
            p = self.begin(
                "record", self.a.sipscope, "ua", "call", f"sip:bob@{target}:5060", "--from", f"sip:alice@{self.caller}",
                "--format", "none", "--media", "none", "--talk", "0s", "--listen", f"udp:{self.caller}:5060", "--pcap", path)
            if p.wait(10) != 0:
                p.stop()
                sys.exit("no call could be recorded: " + open(p.log.name).read()[-400:])
        return path

    def place(self, row, rate, target):
        a = self.a
        if row == "replay":
            return self.begin(
                "replay", a.sipscope, "replay", self.record(target), "--sut", f"{target}:5060", "--bind",
                f"alice={self.caller}:5060", "--repeat", str(a.calls), "--rate", str(rate), "--concurrent", "20000", "--fast",
                "--yes", "--quiet", "--format", "json")
        if row.startswith("ua-"):
            return self.begin(
                "call", a.sipscope, "ua", "call", f"sip:bob@{target}:5060", "--format", "none", "--media", "none",
                "--talk", "0s", "--listen", f"udp:{self.caller}:5060", "--rate", str(rate), "--calls", str(a.calls),
                "--concurrent", "20000")
        if os.path.exists(f"{a.work}/uac.csv"):
            os.remove(f"{a.work}/uac.csv")
        return self.sipp(
            "uac", self.caller, target, "-r", str(rate), "-m", str(a.calls), "-l", "20000", "-timeout",
            str(int(a.calls / rate) + 60), "-timeout_error", "-trace_stat", "-stf", f"{a.work}/uac.csv", "-fd", "1")

    def verdict(self, row, rate, status, took, measured, caller):
        a = self.a
        r = {"row": row, "rate": rate, "cost": measured.cpu * 1000 / a.calls, "peak": measured.peak / 1024, "caller": "-", "again": "-", "answer": "-"}
        if caller.usage:
            r["caller"] = f"{(caller.usage.ru_utime + caller.usage.ru_stime) * 1000 / a.calls:.3f}"
        if row == "replay":
            load = replayed(caller.log.name)
            failed, carried = a.calls - load.get("clean", 0), load.get("rate", 0)
            r["again"] = load.get("retransmissions", "-")
            if answer := load.get("times", {}).get("answer"):
                r["answer"] = f"00:00:00:{round(answer['p50_ms'] * 1000):06}"
        elif row.startswith("ua-"):
            carried = a.calls / took
            failed = 0 if status == 0 else a.calls
        else:
            last = stat(f"{a.work}/uac.csv")
            failed = a.calls - int(last.get("SuccessfulCall(C)", 0))
            r["again"] = last.get("Retransmissions(C)", "-")
            r["answer"] = last.get("ResponseTime1(C)", "-")
            carried = a.calls / seconds(last.get("ElapsedTime(C)", "00:00:00"), took)
        r["failed"], r["carried"] = failed, carried
        r["ok"] = status == 0 and failed == 0 and carried >= 0.95 * rate * a.calls / (a.calls + rate)
        return r, ""

    def search(self, row):
        """The result at the highest rate without a failure, and what ended the search."""
        low, high, step = (int(x) for x in self.a.rates.split(","))
        best, worst = None, None
        span = range(low, high + 1, step)
        left, right = 0, len(span) - 1
        while left <= right:
            i = (left + right + 1) // 2
            r, why = self.call(row, span[i])
            if r is None:
                sys.exit(f"{row}: {why}")
            if not r["ok"]:
                r2, _ = self.call(row, span[i])  # one chance more: others use this machine, too
                r = r2 or r
            if r["ok"]:
                best, left = r, i + 1
            else:
                worst, right = r, i - 1
        return best, worst


def calm(seconds):
    """Waits until the processors were idle for nine tenths of a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = idle()
        time.sleep(1)
        if idle() - before >= 0.9 * TICK * os.cpu_count():
            return


def idle():
    """Ticks that the processors had nothing to do."""
    with open("/proc/stat") as f:
        return int(f.readline().split()[4])


def stat(path):
    """The last line of SIPp's statistics."""
    try:
        with open(path) as f:
            rows = list(csv.DictReader(f, delimiter=";"))
        return rows[-1] if rows else {}
    except OSError:
        return {}


def replayed(path):
    """The figures of a load that sipscope replay made."""
    try:
        with open(path) as f:
            lines = [line for line in f if line.startswith("{")]
        return json.loads(lines[-1]).get("load", {}) if lines else {}
    except (OSError, ValueError):
        return {}


def seconds(text, otherwise):
    m = re.match(r"(\d+):(\d+):(\d+)(?::(\d+))?", text)
    if not m:
        return otherwise
    h, mi, s, us = (int(x or 0) for x in m.groups())
    return h * 3600 + mi * 60 + s + us / 1e6 or otherwise


HEAD = f"{'element':50} {'calls/s':>8} {'failed':>7} {'began/s':>8} {'CPU s/1000':>10} {'MiB':>6} {'caller':>7} {'again':>6} {'answer':>9}"


def show(r):
    answer = seconds(r["answer"], 0) * 1000 if r["answer"] != "-" else 0
    print(f"{WHAT[r['row']]:50} {r['rate']:8} {r['failed']:7} {r['carried']:8.0f} {r['cost']:10.3f} {r['peak']:6.0f} {r['caller']:>7} {r['again']:>6} "
          f"{f'{answer:.1f} ms' if answer else '-':>9}", flush=True)


def main():
    a = arguments()
    b = Bench(a)
    if os.getloadavg()[0] > a.busy:
        print(f"load {os.getloadavg()[0]:.1f}: others use this machine, compare CPU seconds and ratios", file=sys.stderr)
    print(HEAD)
    bad = 0
    for _ in range(a.rounds):
        for row in a.row:
            if a.rate:
                r, why = b.call(row, a.rate)
                if r is None:
                    sys.exit(f"{row}: {why}")
                bad += not r["ok"]
                show(r)
                continue
            best, worst = b.search(row)
            if best:
                show(best)
            else:
                bad += 1
                show(worst)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
