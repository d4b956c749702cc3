// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Replay;

/// <summary>
/// What the scenario's rules make of a trace's processes: the same steps in the same order for every policy. Each
/// replay pulls them through a reader of its own; neither planning nor reading keeps more than the processes that
/// live.
/// </summary>
/// <remarks>
/// Order: by time; at one time the trace's events in their order, each followed by the binds that are due at once; then
/// what is due from earlier, in the order in which it was planned.
/// </remarks>
internal sealed class Workload : IDisposable
{
    private readonly SortedSpool<Record> _steps;
    private readonly NameSpool _names;

    private Workload(SortedSpool<Record> steps, NameSpool names, ProcessTimeline timeline)
    {
        _steps = steps;
        _names = names;
        FirstNanoseconds = timeline.Trace.FirstNanoseconds;
        LastNanoseconds = timeline.Trace.LastNanoseconds;
    }

    public long Steps => _steps.Count;

    /// <summary>Begin in nanoseconds on the trace's clock.</summary>
    public long FirstNanoseconds { get; }

    /// <summary>End in nanoseconds on the trace's clock.</summary>
    public long LastNanoseconds { get; }

    /// <summary>Most steps that planning had in memory before their time came.</summary>
    public int StepsHeld { get; private init; }

    /// <summary>Plans the steps.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static Workload Plan(
        ProcessTimeline timeline, Scenario scenario, ulong seed, CancellationToken cancellation = default)
    {
        var plan = new Planner(scenario, seed);
        try
        {
            foreach (AddressSpaceLife life in timeline.Lives)
            {
                if ((life.Id & 0xFFF) == 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                }

                plan.Add(life);
            }

            plan.Seal();
            return new Workload(plan.Steps, plan.Names, timeline) { StepsHeld = plan.MostHeld };
        }
        catch
        {
            plan.Steps.Dispose();
            plan.Names.Dispose();
            throw;
        }
    }

    /// <summary>The steps from the first one on, for one thread.</summary>
    public Reader Open() => new(this);

    public void Dispose()
    {
        _steps.Dispose();
        _names.Dispose();
    }

    /// <summary>Pulls the steps.</summary>
    public sealed class Reader
    {
        private readonly SortedSpool<Record>.Reader _steps;
        private readonly NameSpool.Reader _names;
        private readonly Dictionary<ulong, SimulatedAddressSpace> _living = [];
        private readonly Dictionary<int, string> _tenants = new() { [-1] = string.Empty };

        internal Reader(Workload workload)
        {
            _steps = workload._steps.Open();
            _names = workload._names.Open();
        }

        /// <summary>Processes between their first step and their end.</summary>
        public int Living => _living.Count;

        public bool TryRead(out WorkloadStep step)
        {
            if (!_steps.TryRead(out Record r))
            {
                step = default;
                return false;
            }

            if (!_living.TryGetValue(r.Life, out SimulatedAddressSpace? process))
            {
                process = new SimulatedAddressSpace(r.Life, r.Pid, _names.Get(r.Name), Tenant(r.Tenant), r.Ended);
                _living[r.Life] = process;
            }

            // The end is the last step of each.
            if (r.Kind == StepKind.End)
            {
                _living.Remove(r.Life);
            }

            step = new WorkloadStep(r.Kind, r.Nanoseconds, process, r.Device, r.Bind);
            return true;
        }

        private string Tenant(int number)
        {
            if (!_tenants.TryGetValue(number, out string? name))
            {
                _tenants[number] = name = Text($"tenant{number}");
            }

            return name;
        }
    }

    private sealed class Planner
    {
        private const int Later = int.MaxValue;
        private readonly Scenario _scenario;
        private readonly ulong _seed;
        private readonly int[][] _devices;
        private readonly PriorityQueue<Record, Due> _due = new();
        private readonly Dictionary<string, bool[]> _rulesOf = new(StringComparer.Ordinal);
        private long _sequence;
        private int _binds;
        private Record _life;

        public Planner(Scenario scenario, ulong seed)
        {
            _scenario = scenario;
            _seed = seed;
            var devices = new Dictionary<string, int>(StringComparer.Ordinal);
            foreach (ScenarioDevice device in scenario.Devices)
            {
                devices[device.Name] = devices.Count;
            }

            _devices = [.. scenario.Rules.Select(r => r.Devices.Select(d => devices[d]).ToArray())];
        }

        public SortedSpool<Record> Steps { get; } = new();
        public NameSpool Names { get; } = new();
        public int MostHeld { get; private set; }

        // Lives come in the order in which they begin, and no step of a life is before its begin.
        public void Add(AddressSpaceLife life)
        {
            Release(new Due(life.StartNanoseconds, life.StartIndex, -1));
            int tenant = _scenario.Tenants == 0
                ? -1
                : (int)(StableHash.Of(_seed, "tenant", life.Id) % (ulong)_scenario.Tenants);
            int before = _binds;
            bool[] rules = RulesOf(life.Name);
            for (int i = 0; i < rules.Length; i++)
            {
                ScenarioRule rule = _scenario.Rules[i];
                if (!rules[i] || !Matches(rule, life, tenant))
                {
                    continue;
                }

                if (_binds == before)
                {
                    _life = new Record
                    {
                        Life = life.Id,
                        Name = Names.Add(life.Name),
                        Pid = life.Pid,
                        Tenant = tenant,
                        Ended = life.Ended,
                    };
                }

                long due = life.StartNanoseconds + (rule.DelayMicroseconds * 1000);
                foreach (int device in _devices[i])
                {
                    PlanBind(life, device, _binds++, due, rule.HoldMicroseconds);
                    due += rule.StepMicroseconds * 1000;
                }
            }

            if (_binds > before)
            {
                Plan(StepKind.End, life.EndNanoseconds, life.EndIndex, -1, -1);
            }
        }

        public void Seal()
        {
            Release(new Due(long.MaxValue, Later, -1));
            Steps.Seal();
            Names.Seal();
        }

        private void Release(Due before)
        {
            while (_due.TryPeek(out Record step, out Due due) && due.CompareTo(before) < 0)
            {
                _due.Dequeue();
                Steps.Add(step);
            }
        }

        private void Plan(StepKind kind, long time, int index, int device, int bind)
        {
            Record step = _life;
            step.Kind = kind;
            step.Nanoseconds = time;
            step.Device = device;
            step.Bind = bind;
            _due.Enqueue(step, new Due(time, index, _sequence++));
            MostHeld = Math.Max(MostHeld, _due.Count);
        }

        private void PlanBind(AddressSpaceLife life, int device, int bind, long due, long? holdMicroseconds)
        {
            int order = due == life.StartNanoseconds ? life.StartIndex : Later;
            if (!IsBefore(due, order, life))
            {
                // The process was gone before it came to this device.
                Plan(StepKind.Skip, life.EndNanoseconds, life.EndIndex, device, bind);
                return;
            }

            Plan(StepKind.Bind, due, order, device, bind);
            if (holdMicroseconds is { } hold && IsBefore(due + (hold * 1000), Later, life))
            {
                Plan(StepKind.Unbind, due + (hold * 1000), Later, device, bind);
            }
        }

        private static bool IsBefore(long time, int order, AddressSpaceLife life) =>
            time != life.EndNanoseconds ? time < life.EndNanoseconds : order < life.EndIndex;

        private bool Matches(ScenarioRule rule, AddressSpaceLife life, int tenant) =>
            rule.Began.Contains(life.Began)
            && (rule.Tenant is not { } wanted || wanted == tenant)
            && (rule.Fraction >= 1 || StableHash.Fraction(_seed, rule.Name, life.Id) < rule.Fraction);

        // Which rules name a program; few programs run many times.
        private bool[] RulesOf(string name)
        {
            if (!_rulesOf.TryGetValue(name, out bool[]? rules))
            {
                if (_rulesOf.Count == NameSpool.MaxHeld)
                {
                    _rulesOf.Clear();
                }

                rules = [.. _scenario.Rules.Select(r => r.NameGlobs.Any(glob => Glob.IsMatch(glob, name)))];
                _rulesOf[name] = rules;
            }

            return rules;
        }

        private readonly record struct Due(long Time, int Index, long Sequence) : IComparable<Due>
        {
            public int CompareTo(Due other) =>
                Time != other.Time ? Time.CompareTo(other.Time)
                : Index != other.Index ? Index.CompareTo(other.Index)
                : Sequence.CompareTo(other.Sequence);
        }
    }

    private struct Record : IComparable<Record>
    {
        public long Nanoseconds;
        public ulong Life;
        public long Name;
        public int Pid;
        public int Device;
        public int Bind;
        public int Tenant;
        public StepKind Kind;
        public LifeEnd Ended;

        public readonly int CompareTo(Record other) => Nanoseconds.CompareTo(other.Nanoseconds);
    }
}
