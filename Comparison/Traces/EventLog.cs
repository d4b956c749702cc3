// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Traces;

/// <summary>The events of a trace, in order of time, in memory that does not grow with their number.</summary>
internal sealed class EventLog : IReadOnlyCollection<TraceEvent>, IDisposable
{
    private readonly SortedSpool<Record> _events = new();
    private readonly NameSpool _names = new();

    public int Count => (int)_events.Count;

    /// <summary>Earliest time in nanoseconds.</summary>
    public long First { get; private set; } = long.MaxValue;

    /// <summary>Latest time in nanoseconds.</summary>
    public long Last { get; private set; } = long.MinValue;

    public void Add(in TraceEvent e)
    {
        First = Math.Min(First, e.Nanoseconds);
        Last = Math.Max(Last, e.Nanoseconds);
        _events.Add(new Record
        {
            Nanoseconds = e.Nanoseconds,
            Name = _names.Add(e.Name),
            Line = e.Line,
            Pid = e.Pid,
            OtherPid = e.OtherPid,
            Kind = e.Kind,
            IsGroupDead = e.IsGroupDead,
        });
    }

    public void Seal()
    {
        _events.Seal();
        _names.Seal();
    }

    public IEnumerator<TraceEvent> GetEnumerator()
    {
        SortedSpool<Record>.Reader reader = _events.Open();
        NameSpool.Reader names = _names.Open();
        while (reader.TryRead(out Record r))
        {
            yield return new TraceEvent(
                r.Line, r.Nanoseconds, r.Kind, r.Pid, r.OtherPid, names.Get(r.Name), r.IsGroupDead);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose()
    {
        _events.Dispose();
        _names.Dispose();
    }

    private struct Record : IComparable<Record>
    {
        public long Nanoseconds;
        public long Name;
        public int Line;
        public int Pid;
        public int OtherPid;
        public TraceEventKind Kind;
        public bool IsGroupDead;

        // Buffers of several processors are merged while they fill, so a line may come late. Those of one time stay in
        // the order of the file.
        public readonly int CompareTo(Record other) => Nanoseconds != other.Nanoseconds
            ? Nanoseconds.CompareTo(other.Nanoseconds)
            : Line.CompareTo(other.Line);
    }
}
