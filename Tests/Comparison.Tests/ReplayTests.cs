// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json;
using PasidFramework.Allocation;
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Tests;

public class ReplayTests
{
    private const string Devices =
        """
        "instances": [ { "name": "u0", "driver": "fake" } ],
        "devices": [
          { "name": "wide", "instance": "u0", "requesterId": "00:01.0", "pasidBits": 20 },
          { "name": "peer", "instance": "u0", "requesterId": "00:02.0", "pasidBits": 20, "domain": "wide" },
          { "name": "narrow", "instance": "u0", "requesterId": "00:03.0", "firstPasid": 1, "lastPasid": 2 }
        ],
        """;

    [Fact]
    public void Binds_unbinds_and_commands_are_those_of_the_trace()
    {
        RunResult run = RunOne("core/lowest", Rules("""{ "devices": ["wide", "peer", "narrow"] }"""), Programs(3));

        // Three devices each; an exit ends two contexts (3 commands each) and detaches three devices (2 each).
        DriverResult driver = Assert.Single(run.Drivers);
        Assert.Equal(9, run.Binds);
        Assert.Equal(9, run.Unbinds);
        Assert.Equal(3, run.ProcessesBound);
        Assert.Equal(1, run.PeakLive);
        Assert.Equal(3, driver.CommandsSetup);
        Assert.Equal(9, driver.CommandsBind);
        Assert.Equal(3 * 12, driver.Commands);
        Assert.Equal(4, driver.CommandsPerUnbind);
        Assert.Equal(2 * 4096, driver.TableBytesPeak);
        Assert.Equal(2 * 4096, driver.TableBytesFinal);
        Assert.Equal(0, run.FailureCount);
        Assert.Equal(["ENOSPC", "EOVERFLOW"], run.Failures.Keys);
    }

    [Fact]
    public void A_PASID_that_does_not_fit_a_narrow_device_is_EOVERFLOW_where_the_policy_moves_on()
    {
        string rules = Rules("""{ "devices": ["wide", "narrow"] }""");

        RunResult cyclic = RunOne("core/cyclic", rules, Programs(5));
        RunResult lowest = RunOne("core/lowest", rules, Programs(5));
        RunResult vendor = RunOne("vendor", rules, Programs(5));

        Assert.Equal(3, cyclic.Failures["EOVERFLOW"]);
        Assert.Equal(0, lowest.FailureCount);
        Assert.Equal(0, vendor.FailureCount);
    }

    [Fact]
    public void Vendor_owned_PASIDs_differ_between_domains_and_core_owned_ones_do_not()
    {
        // The second process is bound to the first domain while the first one holds number 1 there.
        string rules = Rules(
            """
            { "match": { "name": "long" }, "devices": "wide" },
            { "match": { "name": "short" }, "devices": ["wide", "narrow"], "delayMicroseconds": 1 }
            """);
        string trace = Exec(100, "long", 10) + Exec(101, "short", 20) + Exit(101, "short", 30) + Exit(100, "long", 40);

        Assert.Equal(1, RunOne("vendor", rules, trace).ProcessesWithDifferingPasids);
        Assert.Equal(0, RunOne("core/lowest", rules, trace).ProcessesWithDifferingPasids);
    }

    [Fact]
    public void Reuse_distance_counts_the_frees_between_a_PASID_s_own_free_and_its_next_use()
    {
        string rules = Rules("""{ "devices": "wide" }""");

        Assert.Equal(new ReuseDistance(9, 0, 0), RunOne("core/lowest", rules, Programs(10)).ReuseDistance);
        Assert.Equal(new ReuseDistance(0, null, null), RunOne("core/cyclic", rules, Programs(10)).ReuseDistance);

        RunResult quarantine = RunOne("core/quarantine", rules, Programs(10), new PasidOptions { QuarantineFrees = 3 });

        Assert.Equal(3, quarantine.ReuseDistance.Minimum);
        Assert.Equal(6, quarantine.ReuseDistance.Reuses);
    }

    [Fact]
    public void The_one_percent_quantile_is_the_nearest_rank()
    {
        Assert.Equal(5, Of(Enumerable.Range(5, 100).Reverse()).Percentile01);
        Assert.Equal(6, Of(Enumerable.Range(5, 101)).Percentile01);
        Assert.Equal(7, Of([7]).Percentile01);
        Assert.Equal(24, Of(Enumerable.Range(5, 2000)).Percentile01);

        static ReuseDistance Of(IEnumerable<int> distances)
        {
            using var spool = new SortedSpool<long>();
            foreach (int distance in distances)
            {
                spool.Add(distance);
            }

            return ReuseDistance.Of(spool);
        }
    }

    [Fact]
    public void A_bind_whose_process_ended_before_it_was_due_is_skipped_and_counted()
    {
        RunResult run = RunOne(
            "core/lowest",
            Rules("""{ "devices": ["wide", "narrow"], "delayMicroseconds": 3, "stepMicroseconds": 4 }"""),
            Exec(100, "a", 10) + Exit(100, "a", 17));

        Assert.Equal(1, run.Binds);
        Assert.Equal(1, run.SkippedBinds);
    }

    [Fact]
    public void A_hold_ends_a_binding_before_the_process_does()
    {
        string events = EventsOf(
            "core/lowest",
            Rules("""{ "devices": "wide", "delayMicroseconds": 1, "holdMicroseconds": 2 }"""),
            Exec(100, "a", 10) + Exit(100, "a", 20));

        Assert.Equal(
            [
                "setup 0.000010", "allocate 0.000011", "bind 0.000011", "unbind 0.000013 hold", "free 0.000013",
                "end 0.000020",
            ],
            Show(events));
    }

    [Fact]
    public void An_exec_ends_the_old_binding_and_begins_a_new_one_at_the_same_time()
    {
        string events = EventsOf(
            "core/lowest",
            Rules("""{ "match": { "began": "exec" }, "devices": "wide" }"""),
            Exec(100, "a", 10) + ExecLine(100, "b", 15) + Exit(100, "b", 20));

        Assert.Equal(
            [
                "setup 0.000010", "allocate 0.000010", "bind 0.000010", "exit 0.000015 exec", "unbind 0.000015 exec",
                "free 0.000015",
                "allocate 0.000015", "bind 0.000015", "exit 0.000020 exit", "unbind 0.000020 exit", "free 0.000020",
                "end 0.000020",
            ],
            Show(events));
    }

    [Fact]
    public void What_outlives_the_trace_is_ended_with_that_cause()
    {
        string events = EventsOf(
            "core/lowest", Rules("""{ "match": { "began": "exec" }, "devices": "wide" }"""), Exec(100, "a", 10) + Exec(101, "b", 20));

        Assert.Contains("unbind 0.000020 trace-end", Show(events));
    }

    [Fact]
    public void Unbind_first_leaves_nothing_for_the_exit()
    {
        string rules = $$"""{ "schemaVersion": 1, "exitBehaviour": "unbind-first", {{Devices}} "rules": [ { "devices": ["wide", "narrow"] } ] }""";

        RunResult run = RunOne("core/lowest", rules, Programs(2));
        string events = EventsOf("core/lowest", rules, Programs(2));

        Assert.Equal(4, run.Unbinds);
        Assert.Equal(4 * 2, run.Drivers[0].Commands);
        Assert.DoesNotContain(Show(events), e => e.StartsWith("exit", StringComparison.Ordinal));
        Assert.Equal(4, Show(events).Count(e => e.EndsWith("unbind-first", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_driver_s_refusal_is_a_failure_of_the_run_and_leaves_nothing()
    {
        RunResult run = RunOne(
            "core/lowest", Rules("""{ "devices": "wide" }"""), Exec(100, "nomem", 10) + Exit(100, "nomem", 20));

        Assert.Equal(1, run.Failures["ENOMEM"]);
        Assert.Equal(0, run.Binds);
        Assert.Equal(1, run.Drivers[0].Failures);
        Assert.Equal(1, run.Drivers[0].CommandsBind);
    }

    [Fact]
    public void Tenants_share_a_quota()
    {
        string rules =
            $$"""{ "schemaVersion": 1, "tenants": 1, {{Devices}} "rules": [ { "match": { "began": "exec" }, "devices": "wide" } ] }""";
        string trace = Exec(100, "a", 10) + Exec(101, "b", 20) + Exit(100, "a", 30) + Exit(101, "b", 40);

        RunResult run = RunOne("core/lowest", rules, trace, new PasidOptions { QuotaPerTenant = 1 });

        Assert.Equal(1, run.Failures["ENOSPC"]);
        Assert.Equal(1, run.Binds);
    }

    [Fact]
    public void A_quarantine_by_time_follows_the_trace_s_clock()
    {
        string rules = Rules("""{ "match": { "began": "exec" }, "devices": "narrow" }""");
        string soon = Exec(100, "a", 10) + Exit(100, "a", 20) + Exec(101, "b", 30) + Exit(101, "b", 40)
            + Exec(102, "c", 900) + Exit(102, "c", 950);
        string later = Exec(100, "a", 10) + Exit(100, "a", 20) + Exec(101, "b", 30) + Exit(101, "b", 40)
            + Exec(102, "c", 1900) + Exit(102, "c", 1950);
        var options = new PasidOptions { QuarantineMilliseconds = 1 };

        Assert.Equal(1, RunOne("core/lowest", rules, soon, options).Failures["ENOSPC"]);
        Assert.Equal(0, RunOne("core/lowest", rules, later, options).FailureCount);
    }

    [Fact]
    public void Memory_that_a_driver_keeps_is_an_internal_error()
    {
        ComparisonRequest request = Request(
            "core/lowest", Rules("""{ "devices": "wide" }"""), Programs(1), driver: new FakeDriver(leaks: true));

        InvalidOperationException thrown = Assert.Throws<InvalidOperationException>(() => Comparer.Run(request));

        Assert.Equal("4096 bytes of page memory were not given back", thrown.Message);
    }

    [Fact]
    public void Settings_that_a_driver_refuses_are_an_error_of_the_scenario()
    {
        string rules = Rules("""{ "devices": "wide" }""");
        ComparisonRequest refused =
            Request("core/lowest", rules, Programs(1), driver: new FakeDriver(failsToStart: true));
        ComparisonRequest thrown = Request(
            "core/lowest",
            rules.Replace("\"driver\": \"fake\"", "\"driver\": \"fake\", \"hardwareOptions\": { \"bad\": 1 }",
                StringComparison.Ordinal),
            Programs(1));

        Assert.Equal(
            "s.json:1: instance u0, driver fake was refused: EINVAL: option 'x' is not known; expected settings that "
                + "the driver accepts",
            Comparer.Run(refused).Error!.ToString());
        Assert.Contains("option 'bad' is not known", Comparer.Run(thrown).Error!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_driver_is_named_before_anything_runs()
    {
        ComparisonRequest request = Request("core/lowest", Rules("""{ "devices": "wide" }"""), Programs(1)) with
        {
            Drivers = new Dictionary<string, IPasidDriver>(),
        };

        Assert.Equal("u0", Assert.Single(request.MissingDrivers()).Name);
        Assert.Throws<ArgumentException>(() => Comparer.Run(request));
    }

    [Fact]
    public void Cancelling_ends_the_replay()
    {
        using var cancelled = new CancellationTokenSource();
        ComparisonRequest request = Request("core/lowest", Rules("""{ "devices": "wide" }"""), Programs(400));

        Assert.Throws<OperationCanceledException>(() => Comparer.Run(
            request, null, _ => cancelled.Cancel(), cancelled.Token));
    }

    [Fact]
    public void The_same_seed_and_input_give_the_same_bytes_and_another_seed_does_not()
    {
        Trace trace = TestData.ReadBundledTrace();
        string scenario = Rules("""{ "match": { "fraction": 0.2 }, "devices": ["wide", "peer", "narrow"], "delayMicroseconds": 100 }""");

        (string Json, string Events) one = RunAll(trace, scenario, 7);
        (string Json, string Events) two = RunAll(trace, scenario, 7);
        (string Json, string Events) other = RunAll(trace, scenario, 8);

        Assert.Equal(one.Json, two.Json);
        Assert.Equal(one.Events, two.Events);
        Assert.NotEqual(one.Events, other.Events);
    }

    [Fact]
    public void Policies_at_one_time_give_the_bytes_of_one_after_the_other()
    {
        using Trace trace = TestData.ReadBundledTrace();
        string scenario = Rules("""{ "match": { "fraction": 0.2 }, "devices": ["wide", "peer", "narrow"] }""");

        (string Json, string Events) alone = RunAll(trace, scenario, 7, workers: 1);
        (string Json, string Events) together = RunAll(trace, scenario, 7, workers: 4);

        Assert.Equal(alone.Json, together.Json);
        Assert.Equal(alone.Events, together.Events);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Of_several_policies_that_fail_the_first_in_order_is_the_answer(int workers)
    {
        ComparisonRequest request = Request(
            "core/cyclic,core/lowest,vendor", Rules("""{ "devices": "wide" }"""), Programs(50),
            driver: new FakeDriver(leaks: true)) with { Workers = workers };

        InvalidOperationException thrown = Assert.Throws<InvalidOperationException>(
            () => Comparer.Run(request, new MemoryStream()));

        // Cyclic touches more leaves than the others do.
        Assert.Equal("16384 bytes of page memory were not given back", thrown.Message);
    }

    [Fact]
    public void Results_do_not_depend_on_the_culture()
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        string rules = Rules("""{ "devices": ["wide", "narrow"] }""");
        string expected = Json(RunResultOf("core/lowest", rules, Programs(3)));
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        comma.NumberFormat.NumberDecimalSeparator = ",";
        comma.NumberFormat.NegativeSign = "~";
        try
        {
            CultureInfo.CurrentCulture = comma;

            Assert.Equal(expected, Json(RunResultOf("core/lowest", rules, Programs(3))));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void Policies_are_the_built_in_ones_the_plug_ins_and_the_vendor_s()
    {
        Assert.Equal(
            ["core/cyclic", "core/lowest", "core/top-down", "core/random", "core/quarantine", "core/buddy",
                "core/zoned", "vendor"],
            Policy.Catalogue(["zoned", "buddy", "lowest"]).Select(p => p.Name));

        PasidOptions configured =
            new() { First = 16, Last = 255, QuarantineFrees = 9, Lifetime = "process-death", QuotaPerTenant = 5 };
        configured.Reserved.Add(17);
        Dictionary<string, PasidOptions> derived = Policy.Catalogue(["zoned"])
            .ToDictionary(p => p.Name, p => p.Derive(configured, 42));

        Assert.All(derived.Values, o => Assert.Equal((16, 255, "process-death", 5, 42ul, 17),
            (o.First, o.Last, o.Lifetime, o.QuotaPerTenant, o.Seed, o.Reserved[0])));
        Assert.Equal(9, derived["core/quarantine"].QuarantineFrees);
        Assert.Equal("lowest", derived["core/quarantine"].Allocator);
        Assert.Equal(0, derived["core/lowest"].QuarantineFrees);
        Assert.Equal("zoned", derived["core/zoned"].Allocator);
        Assert.Equal("vendor", derived["vendor"].Ownership);
        Assert.Equal(64, Policy.QuarantineFrees(new PasidOptions()));
        Assert.Equal(4, Policy.QuarantineFrees(new PasidOptions { First = 1, Last = 8 }));
    }

    internal static string Rules(string rules) => $$"""{ "schemaVersion": 1, {{Devices}} "rules": [ {{rules}} ] }""";

    internal static ComparisonRequest Request(
        string policies, string scenario, string trace, PasidOptions? options = null, FakeDriver? driver = null) =>
            new()
        {
            Timeline = ProcessTimeline.Build(TestData.Require(TestData.ReadTrace(trace))),
            Scenario = TestData.ReadScenario(scenario),
            Policies = [.. Policy.Catalogue([]).Where(p => policies.Split(',').Contains(p.Name))],
            Drivers = new Dictionary<string, IPasidDriver> { ["fake"] = driver ?? new FakeDriver() },
            Options = options ?? new PasidOptions(),
        };

    internal static ComparisonResult RunResultOf(string policies, string scenario, string trace) =>
        TestData.Require(Comparer.Run(Request(policies, scenario, trace)));

    /// <summary>Programs one after the other; what starts them is a kernel thread, so that nothing else is
    /// bound.</summary>
    internal static string Programs(int count) => string.Concat(Enumerable.Range(0, count)
        .Select(i => Exec(100 + i, $"p{i}", 10 + (i * 10)) + Exit(100 + i, $"p{i}", 15 + (i * 10))));

    internal static string Json(ComparisonResult result)
    {
        using var stream = new MemoryStream();
        JsonReport.Write(result, stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static RunResult RunOne(string policy, string scenario, string trace, PasidOptions? options = null) =>
        Assert.Single(TestData.Require(Comparer.Run(Request(policy, scenario, trace, options))).Runs);

    private static string EventsOf(string policy, string scenario, string trace)
    {
        using var stream = new MemoryStream();
        TestData.Require(Comparer.Run(Request(policy, scenario, trace), stream));
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static (string Json, string Events) RunAll(
        Trace trace, string scenario, ulong seed, int workers = 2)
    {
        using var events = new MemoryStream();
        ComparisonResult result = TestData.Require(Comparer.Run(
            new ComparisonRequest
            {
                Timeline = ProcessTimeline.Build(trace),
                Scenario = TestData.ReadScenario(scenario),
                Policies = Policy.Catalogue([]),
                Drivers = new Dictionary<string, IPasidDriver> { ["fake"] = new FakeDriver() },
                Seed = seed,
                Workers = workers,
            },
            events));
        return (Json(result), Encoding.UTF8.GetString(events.ToArray()));
    }

    private static string[] Show(string events) =>
    [
        .. events.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            string cause = root.TryGetProperty("cause", out JsonElement value) ? " " + value.GetString() : string.Empty;
            return $"{root.GetProperty("kind").GetString()} {root.GetProperty("time").GetRawText()}{cause}";
        }),
    ];

    private static string Exec(int pid, string program, int micros) =>
        Line(micros, $"sched_process_fork: comm=sh pid=2 child_comm=sh child_pid={pid}")
            + ExecLine(pid, program, micros);

    private static string ExecLine(int pid, string program, int micros) =>
        Line(micros, $"sched_process_exec: filename=/bin/{program} pid={pid} old_pid={pid}");

    private static string Exit(int pid, string name, int micros) =>
        Line(micros, $"sched_process_exit: comm={name} pid={pid} prio=120 group_dead=true");

    private static string Line(int micros, string rest) => Text($"x-1 [000] ..... 0.{micros:D6}: {rest}\n");
}
