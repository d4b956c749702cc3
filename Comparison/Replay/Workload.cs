// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Replay;

/// <summary>What happens at one time of a replay.</summary>
internal enum StepKind
{
    Bind,
    Unbind,
    End,
    Skip,
}

/// <summary>One step of a replay.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="Nanoseconds">When, on the trace's clock.</param>
/// <param name="Life">Index of the address space.</param>
/// <param name="Device">Index of the device, -1 for an end.</param>
/// <param name="Bind">Index of the bind, from 0, that is made, ended or skipped; -1 for an end.</param>
internal readonly record struct WorkloadStep(StepKind Kind, long Nanoseconds, int Life, int Device, int Bind);

/// <summary>
/// What the scenario's rules make of a trace's processes: the same steps in the same order for every policy.
/// </summary>
/// <remarks>
/// Order: by time; at one time the trace's events in their order, each followed by the binds that are due at once; then
/// what is due from earlier, in the order in which it was planned.
/// </remarks>
internal sealed class Workload
{
    private const int Later = int.MaxValue;

    private Workload(
        ProcessTimeline timeline, IReadOnlyList<WorkloadStep> steps, IReadOnlyList<string> tenants, int binds)
    {
        Timeline = timeline;
        Steps = steps;
        Tenants = tenants;
        Binds = binds;
    }

    public ProcessTimeline Timeline { get; }

    /// <summary>The steps in order; lives that no rule binds have none.</summary>
    public IReadOnlyList<WorkloadStep> Steps { get; }

    /// <summary>Tenant of each life, empty for none.</summary>
    public IReadOnlyList<string> Tenants { get; }

    /// <summary>How many binds are planned or skipped.</summary>
    public int Binds { get; }

    public static Workload Plan(ProcessTimeline timeline, Scenario scenario, ulong seed)
    {
        var planned = new List<(long Time, int Index, int Sequence, WorkloadStep Step)>();
        var tenants = new string[timeline.Lives.Count];
        var devices = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (ScenarioDevice device in scenario.Devices)
        {
            devices[device.Name] = devices.Count;
        }

        int binds = 0;
        for (int i = 0; i < timeline.Lives.Count; i++)
        {
            AddressSpaceLife life = timeline.Lives[i];
            int tenant = scenario.Tenants == 0
                ? -1
                : (int)(StableHash.Of(seed, "tenant", life.Id) % (ulong)scenario.Tenants);
            tenants[i] = tenant < 0 ? string.Empty : $"tenant{tenant}";
            int before = binds;
            foreach (ScenarioRule rule in scenario.Rules)
            {
                if (!Matches(rule, life, tenant, seed))
                {
                    continue;
                }

                long due = life.StartNanoseconds + (rule.DelayMicroseconds * 1000);
                foreach (string name in rule.Devices)
                {
                    PlanBind(life, i, devices[name], binds++, due, rule.HoldMicroseconds, planned);
                    due += rule.StepMicroseconds * 1000;
                }
            }

            if (binds > before)
            {
                var end = new WorkloadStep(StepKind.End, life.EndNanoseconds, i, -1, -1);
                planned.Add((life.EndNanoseconds, life.EndIndex, planned.Count, end));
            }
        }

        planned.Sort(static (a, b) =>
            a.Time != b.Time ? a.Time.CompareTo(b.Time)
            : a.Index != b.Index ? a.Index.CompareTo(b.Index)
            : a.Sequence.CompareTo(b.Sequence));
        return new Workload(timeline, [.. planned.Select(p => p.Step)], tenants, binds);
    }

    private static void PlanBind(
        AddressSpaceLife life,
        int index,
        int device,
        int bind,
        long due,
        long? holdMicroseconds,
        List<(long Time, int Index, int Sequence, WorkloadStep Step)> planned)
    {
        int order = due == life.StartNanoseconds ? life.StartIndex : Later;
        if (!IsBefore(due, order, life))
        {
            // The process was gone before it came to this device.
            planned.Add((life.EndNanoseconds, life.EndIndex, planned.Count,
                new WorkloadStep(StepKind.Skip, life.EndNanoseconds, index, device, bind)));
            return;
        }

        planned.Add((due, order, planned.Count, new WorkloadStep(StepKind.Bind, due, index, device, bind)));
        if (holdMicroseconds is { } hold && IsBefore(due + (hold * 1000), Later, life))
        {
            long until = due + (hold * 1000);
            planned.Add((until, Later, planned.Count, new WorkloadStep(StepKind.Unbind, until, index, device, bind)));
        }
    }

    private static bool IsBefore(long time, int order, AddressSpaceLife life) =>
        time != life.EndNanoseconds ? time < life.EndNanoseconds : order < life.EndIndex;

    private static bool Matches(ScenarioRule rule, AddressSpaceLife life, int tenant, ulong seed)
    {
        if (!rule.Began.Contains(life.Began) || (rule.Tenant is { } wanted && wanted != tenant))
        {
            return false;
        }

        foreach (string glob in rule.NameGlobs)
        {
            if (Glob.IsMatch(glob, life.Name))
            {
                return rule.Fraction >= 1 || StableHash.Fraction(seed, rule.Name, life.Id) < rule.Fraction;
            }
        }

        return false;
    }
}
