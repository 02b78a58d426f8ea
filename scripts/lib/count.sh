# shellcheck shell=bash
# Read a test tool's own summary from standard input and print "PASSED FAILED SKIPPED".

# `Summary [ 1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`
count_nextest() {
  awk '/^ *Summary \[/ {
      for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) passed = $(i - 1)
        if ($i ~ /^skipped/) skipped = $(i - 1)
        if ($i ~ /^failed/ || $i ~ /^timed$/) failed += $(i - 1)
      }
    }
    END { print passed + 0, failed + 0, skipped + 0 }'
}

# `test result: ok. 3 passed; 0 failed; 1 ignored; …`, once for every binary
count_cargo() {
  awk '/^test result: / { passed += $4; failed += $6; skipped += $8 }
    END { print passed + 0, failed + 0, skipped + 0 }'
}

# `==== 1 failed, 11 passed, 1 skipped, 1 error in 2.31s ====`
count_pytest() {
  awk '/ in [0-9.]+s/ && /passed|failed|error/ {
      passed = failed = skipped = 0
      for (i = 2; i <= NF; i++) {
        if ($i ~ /^passed/) passed += $(i - 1)
        if ($i ~ /^(failed|error)/) failed += $(i - 1)
        if ($i ~ /^(skipped|xfailed|xpassed|deselected)/) skipped += $(i - 1)
      }
    }
    END { print passed + 0, failed + 0, skipped + 0 }'
}

# `# pass 11`, `# fail 1`, `# cancelled 0`, `# skipped 0`, `# todo 0`; `ℹ` instead of `#` in the
# form meant for people. Nested tests are counted by node itself.
count_node() {
  awk '$1 == "#" || $1 == "ℹ" {
      if ($2 == "pass") passed = $3
      if ($2 == "fail") failed += $3
      if ($2 == "cancelled") failed += $3
      if ($2 == "skipped" || $2 == "todo") skipped += $3
    }
    END { print passed + 0, failed + 0, skipped + 0 }'
}
