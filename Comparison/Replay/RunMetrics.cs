// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Replay;

/// <summary>Turns the events of one run into its figures; it sees exactly what the event file holds.</summary>
internal sealed class RunMetrics(string policy, IReadOnlyList<string> drivers)
{
    // The two that every report names, so that a script finds their zeros.
    private readonly SortedDictionary<string, int> _failures = new(StringComparer.Ordinal)
    {
        [nameof(Errno.ENOSPC)] = 0,
        [nameof(Errno.EOVERFLOW)] = 0,
    };

    private readonly SortedDictionary<string, SpaceCounts> _spaces = new(StringComparer.Ordinal);
    private readonly Dictionary<ulong, Dictionary<string, uint>> _numbers = [];
    private readonly HashSet<ulong> _bound = [];
    private readonly HashSet<ulong> _differing = [];
    private readonly DriverCounts[] _drivers = [.. drivers.Select(_ => new DriverCounts())];
    private int _binds;
    private int _unbinds;
    private int _skipped;
    private int _live;
    private int _peakLive;

    public void Add(ReplayEvent happened)
    {
        DriverCounts? driver = happened.Driver is { } name ? _drivers[IndexOf(name)] : null;
        switch (happened.Kind)
        {
            case ReplayEventKind.Allocate:
                Space(happened).Allocate(happened.Pasid!.Value.Value);
                _peakLive = Math.Max(_peakLive, ++_live);
                break;
            case ReplayEventKind.Free:
                Space(happened).Free(happened.Pasid!.Value.Value);
                _live--;
                break;
            case ReplayEventKind.Bind:
                _binds++;
                driver!.Binds++;
                Bound(happened.Process!.Id, happened.Device!, happened.Pasid!.Value.Value);
                break;
            case ReplayEventKind.Unbind:
                _unbinds++;
                driver!.Unbinds++;
                _numbers[happened.Process!.Id].Remove(happened.Device!);
                break;
            case ReplayEventKind.Refuse:
                string errno = happened.Errno.ToString();
                _failures[errno] = _failures.GetValueOrDefault(errno) + 1;
                driver!.Failures++;
                break;
            case ReplayEventKind.Skip:
                _skipped++;
                break;
            default:
                break;
        }

        for (int i = 0; happened.Commands is { } commands && i < commands.Count; i++)
        {
            _drivers[i].Add(happened.Operation, commands[i], happened.TableBytes![i]);
        }
    }

    public RunResult Result() => new()
    {
        Policy = policy,
        Binds = _binds,
        Unbinds = _unbinds,
        Failures = _failures,
        SkippedBinds = _skipped,
        PeakLive = _peakLive,
        ReuseDistance = ReuseDistance.Of([.. _spaces.Values.SelectMany(s => s.Distances)]),
        ProcessesBound = _bound.Count,
        ProcessesWithDifferingPasids = _differing.Count,
        Drivers = [.. _drivers.Select((d, i) => d.Result(drivers[i]))],
        Spaces = [.. _spaces.Select(s => s.Value.Result(s.Key))],
    };

    private int IndexOf(string driver)
    {
        for (int i = 0; i < drivers.Count; i++)
        {
            if (drivers[i] == driver)
            {
                return i;
            }
        }

        throw new ArgumentException($"No driver '{driver}' in this run.", nameof(driver));
    }

    private void Bound(ulong process, string device, uint pasid)
    {
        _bound.Add(process);
        if (!_numbers.TryGetValue(process, out Dictionary<string, uint>? numbers))
        {
            _numbers[process] = numbers = new Dictionary<string, uint>(StringComparer.Ordinal);
        }

        foreach (uint other in numbers.Values)
        {
            if (other != pasid)
            {
                _differing.Add(process);
                break;
            }
        }

        numbers[device] = pasid;
    }

    private SpaceCounts Space(ReplayEvent happened)
    {
        if (!_spaces.TryGetValue(happened.Space!, out SpaceCounts? space))
        {
            _spaces[happened.Space!] = space = new SpaceCounts();
        }

        return space;
    }

    private sealed class SpaceCounts
    {
        private readonly Dictionary<uint, long> _freedAt = [];
        private int _allocations;
        private int _frees;
        private int _live;
        private int _peakLive;
        private uint _highest;
        public List<long> Distances { get; } = [];

        public void Allocate(uint pasid)
        {
            _allocations++;
            _peakLive = Math.Max(_peakLive, ++_live);
            _highest = Math.Max(_highest, pasid);
            if (_freedAt.Remove(pasid, out long freedAt))
            {
                Distances.Add(_frees - freedAt);
            }
        }

        public void Free(uint pasid)
        {
            _live--;
            _freedAt[pasid] = ++_frees;
        }

        public SpaceResult Result(string name) => new()
        {
            Name = name,
            Allocations = _allocations,
            Frees = _frees,
            PeakLive = _peakLive,
            HighestPasid = _highest,
            ReuseDistance = ReuseDistance.Of([.. Distances]),
        };
    }

    private sealed class DriverCounts
    {
        private long _peak;
        private long _final;
        private long _setup;
        private long _bind;
        private long _unbind;
        public int Binds { get; set; }
        public int Unbinds { get; set; }
        public int Failures { get; set; }

        public void Add(ReplayOperation operation, long commands, long tableBytes)
        {
            _peak = Math.Max(_peak, tableBytes);
            _final = tableBytes;
            switch (operation)
            {
                case ReplayOperation.Setup:
                    _setup += commands;
                    break;
                case ReplayOperation.Bind:
                    _bind += commands;
                    break;
                case ReplayOperation.Unbind or ReplayOperation.Exit:
                    _unbind += commands;
                    break;
                default:
                    break;
            }
        }

        public DriverResult Result(string name) => new()
        {
            Name = name,
            TableBytesPeak = _peak,
            TableBytesFinal = _final,
            Commands = _unbind,
            CommandsBind = _bind,
            CommandsSetup = _setup,
            Binds = Binds,
            Unbinds = Unbinds,
            Failures = Failures,
        };
    }
}
