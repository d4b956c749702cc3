// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Replay;

/// <summary>
/// Turns the events of one run into its figures; it sees exactly what the event file holds. Of a process it keeps
/// nothing beyond its end.
/// </summary>
internal sealed class RunMetrics(string policy, IReadOnlyList<string> drivers) : IDisposable
{
    // The two that every report names, so that a script finds their zeros.
    private readonly SortedDictionary<string, int> _failures = new(StringComparer.Ordinal)
    {
        [nameof(Errno.ENOSPC)] = 0,
        [nameof(Errno.EOVERFLOW)] = 0,
    };

    private readonly SortedDictionary<string, SpaceCounts> _spaces = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SpaceCounts> _spaceOf = new(StringComparer.Ordinal);
    private readonly SortedSpool<long> _distances = new();
    private readonly Dictionary<ulong, ProcessRecord> _processes = [];
    private readonly Stack<ProcessRecord> _unused = new();
    private readonly DriverCounts[] _drivers = [.. drivers.Select(_ => new DriverCounts())];
    private int _binds;
    private int _unbinds;
    private int _skipped;
    private int _live;
    private int _peakLive;
    private int _processesBound;
    private int _differing;

    /// <summary>Processes of which something is kept.</summary>
    public int ProcessesHeld => _processes.Count;

    /// <summary>A process ended.</summary>
    public void End(ulong process)
    {
        if (_processes.Remove(process, out ProcessRecord? record))
        {
            record.Clear();
            _unused.Push(record);
        }
    }

    public void Add(ReplayEvent happened)
    {
        DriverCounts? driver = happened.Driver is { } name ? _drivers[IndexOf(name)] : null;
        switch (happened.Kind)
        {
            case ReplayEventKind.Allocate:
                if (Space(happened).Allocate(happened.Pasid!.Value.Value) is { } distance)
                {
                    _distances.Add(distance);
                }

                _peakLive = Math.Max(_peakLive, ++_live);
                break;
            case ReplayEventKind.Free:
                Space(happened).Free(happened.Pasid!.Value.Value);
                _live--;
                break;
            case ReplayEventKind.Bind:
                _binds++;
                driver!.Binds++;
                Bound(happened.Process!.Number, happened.Device!, happened.Pasid!.Value.Value);
                break;
            case ReplayEventKind.Unbind:
                _unbinds++;
                driver!.Unbinds++;
                if (_processes.TryGetValue(happened.Process!.Number, out ProcessRecord? record))
                {
                    record.Remove(happened.Device!);
                }

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

        for (int i = 0; happened.Commands is { } commands && i < commands.Length; i++)
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
        ReuseDistance = ReuseDistance.Of(_distances),
        ProcessesBound = _processesBound,
        ProcessesWithDifferingPasids = _differing,
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

    public void Dispose()
    {
        _distances.Dispose();
        foreach (SpaceCounts space in _spaces.Values)
        {
            space.Dispose();
        }
    }

    private void Bound(ulong process, string device, uint pasid)
    {
        if (!_processes.TryGetValue(process, out ProcessRecord? record))
        {
            record = _unused.TryPop(out ProcessRecord? unused) ? unused : new ProcessRecord();
            _processes[process] = record;
            _processesBound++;
        }

        if (record.Add(device, pasid))
        {
            _differing++;
        }
    }

    private SpaceCounts Space(ReplayEvent happened)
    {
        if (!_spaceOf.TryGetValue(happened.Space!, out SpaceCounts? space))
        {
            _spaceOf[happened.Space!] = _spaces[happened.Space!] = space = new SpaceCounts();
        }

        return space;
    }

    // The bindings of a process that stand, and whether their PASIDs have ever differed.
    private sealed class ProcessRecord
    {
        private readonly List<(string Device, uint Pasid)> _bindings = [];
        private bool _differs;

        /// <summary>Adds a binding; whether its PASID is the first that differs.</summary>
        public bool Add(string device, uint pasid)
        {
            bool differed = _differs;
            foreach ((string _, uint other) in _bindings)
            {
                _differs |= other != pasid;
            }

            Remove(device);
            _bindings.Add((device, pasid));
            return _differs && !differed;
        }

        public void Remove(string device)
        {
            for (int i = 0; i < _bindings.Count; i++)
            {
                if (_bindings[i].Device == device)
                {
                    _bindings.RemoveAt(i);
                    return;
                }
            }
        }

        public void Clear()
        {
            _bindings.Clear();
            _differs = false;
        }
    }

    private sealed class SpaceCounts : IDisposable
    {
        private const int PageBits = 9;
        private readonly SortedSpool<long> _distances = new();

        // By PASID the space's frees at its last free, 0 for none: a page for each 512 that are used.
        private long[]?[] _freedAt = [];
        private int _allocations;
        private int _frees;
        private int _live;
        private int _peakLive;
        private uint _highest;
        /// <summary>Counts an allocation; its reuse distance, null where the PASID is new.</summary>
        public long? Allocate(uint pasid)
        {
            _allocations++;
            _peakLive = Math.Max(_peakLive, ++_live);
            _highest = Math.Max(_highest, pasid);
            ref long freedAt = ref FreedAt(pasid);
            if (freedAt == 0)
            {
                return null;
            }

            long distance = _frees - freedAt;
            freedAt = 0;
            _distances.Add(distance);
            return distance;
        }

        public void Free(uint pasid)
        {
            _live--;
            FreedAt(pasid) = ++_frees;
        }

        public void Dispose() => _distances.Dispose();

        private ref long FreedAt(uint pasid)
        {
            int page = (int)(pasid >> PageBits);
            if (page >= _freedAt.Length)
            {
                Array.Resize(ref _freedAt, Math.Max(page + 1, _freedAt.Length * 2));
            }

            long[] numbers = _freedAt[page] ??= new long[1 << PageBits];
            return ref numbers[pasid & ((1 << PageBits) - 1)];
        }

        public SpaceResult Result(string name) => new()
        {
            Name = name,
            Allocations = _allocations,
            Frees = _frees,
            PeakLive = _peakLive,
            HighestPasid = _highest,
            ReuseDistance = ReuseDistance.Of(_distances),
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
