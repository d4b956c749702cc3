// SPDX-License-Identifier: Apache-2.0
using System.Collections;
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Traces;

/// <summary>
/// Lives of address spaces, added as they are found out and read in the order in which they begin, in memory that does
/// not grow with their number.
/// </summary>
internal sealed class LifeLog : IReadOnlyCollection<AddressSpaceLife>, IDisposable
{
    private readonly SortedSpool<Record> _lives = new();
    private readonly NameSpool _names = new();

    public int Count => (int)_lives.Count;

    /// <summary>Adds a life; its number is given by the order.</summary>
    /// <param name="life">The life.</param>
    /// <param name="task">Number of its task: of two that begin with one event the older task's comes first.</param>
    public void Add(AddressSpaceLife life, long task) => _lives.Add(new Record
    {
        StartIndex = life.StartIndex,
        EndIndex = life.EndIndex,
        Task = task,
        Start = life.StartNanoseconds,
        End = life.EndNanoseconds,
        Name = _names.Add(life.Name),
        Pid = life.Pid,
        Began = life.Began,
        Ended = life.Ended,
    });

    public void Seal()
    {
        _lives.Seal();
        _names.Seal();
    }

    public IEnumerator<AddressSpaceLife> GetEnumerator()
    {
        SortedSpool<Record>.Reader reader = _lives.Open();
        NameSpool.Reader names = _names.Open();
        for (ulong id = 1; reader.TryRead(out Record r); id++)
        {
            yield return new AddressSpaceLife
            {
                Id = id,
                Pid = r.Pid,
                Name = names.Get(r.Name),
                StartNanoseconds = r.Start,
                EndNanoseconds = r.End,
                Began = r.Began,
                Ended = r.Ended,
                StartIndex = r.StartIndex,
                EndIndex = r.EndIndex,
            };
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose()
    {
        _lives.Dispose();
        _names.Dispose();
    }

    private struct Record : IComparable<Record>
    {
        public long Task;
        public long Start;
        public long End;
        public long Name;
        public int StartIndex;
        public int EndIndex;
        public int Pid;
        public LifeBegin Began;
        public LifeEnd Ended;

        public readonly int CompareTo(Record other) => StartIndex != other.StartIndex
            ? StartIndex.CompareTo(other.StartIndex)
            : Task.CompareTo(other.Task);
    }
}
