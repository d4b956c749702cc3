// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace PasidFramework.Comparison.Spooling;

/// <summary>
/// Records that are added in any order and read in order, in memory that does not grow with their number: chunks are
/// sorted in memory, and merged once where they overlap.
/// </summary>
/// <remarks>Records that compare equal come in any order: those where it matters compare a number, too.</remarks>
/// <typeparam name="T">The record.</typeparam>
internal sealed class SortedSpool<T> : IDisposable
    where T : unmanaged, IComparable<T>
{
    private const int DefaultChunk = 1 << 14;
    private const int MergeRecords = 1 << 16;
    private readonly int _chunkRecords;
    private readonly List<(long Start, int Count)> _runs = [];
    private Spool _spool = new();
    private T[] _chunk = new T[16];
    private int _used;
    private bool _isChunkSorted = true;
    private bool _isSorted = true;
    private bool _hasLast;
    private T _last;

    /// <summary>Makes an empty one.</summary>
    /// <param name="chunkRecords">Records that are sorted in memory, at least 1.</param>
    public SortedSpool(int chunkRecords = DefaultChunk)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(chunkRecords, 1);
        _chunkRecords = chunkRecords;
    }

    public long Count { get; private set; }

    /// <summary>Records that it keeps in memory.</summary>
    public int HeldRecords => _chunk.Length;

    /// <summary>Whether they were added in order.</summary>
    public bool IsSorted => _isSorted;

    public void Add(in T record)
    {
        if (_used == _chunk.Length)
        {
            if (_used >= _chunkRecords)
            {
                Spill();
            }
            else
            {
                Array.Resize(ref _chunk, Math.Min(_chunk.Length * 2, _chunkRecords));
            }
        }

        if (_hasLast && record.CompareTo(_last) < 0)
        {
            _isSorted = false;
            _isChunkSorted &= _used == 0;
        }

        _hasLast = true;
        _last = record;
        _chunk[_used++] = record;
        Count++;
    }

    /// <summary>Nothing will be added any more; from now on it can be read by several threads.</summary>
    public void Seal()
    {
        if (_runs.Count == 0)
        {
            SortChunk();
            return;
        }

        if (_used > 0)
        {
            Spill();
        }

        _chunk = [];
        _spool.Seal();
        if (!_isSorted)
        {
            Merge();
        }
    }

    /// <summary>All records in order.</summary>
    public Reader Open() => new(this);

    public void Dispose() => _spool.Dispose();

    private void SortChunk()
    {
        if (!_isChunkSorted)
        {
            Array.Sort(_chunk, 0, _used);
        }

        _isChunkSorted = true;
    }

    private void Spill()
    {
        SortChunk();
        _runs.Add((_spool.Append(MemoryMarshal.AsBytes(_chunk.AsSpan(0, _used))), _used));
        _used = 0;
    }

    private void Merge()
    {
        var merged = new Spool();
        var runs = new RunReader[_runs.Count];
        var next = new PriorityQueue<int, T>(runs.Length);
        int each = Math.Max(1, MergeRecords / runs.Length);
        for (int i = 0; i < runs.Length; i++)
        {
            runs[i] = new RunReader(_spool, _runs[i].Start, _runs[i].Count, each);
            _ = runs[i].TryRead(out T first);
            next.Enqueue(i, first);
        }

        var output = new T[Math.Min(_chunkRecords, DefaultChunk)];
        int used = 0;
        while (next.TryDequeue(out int run, out T record))
        {
            output[used++] = record;
            if (used == output.Length)
            {
                merged.Append(MemoryMarshal.AsBytes(output.AsSpan()));
                used = 0;
            }

            if (runs[run].TryRead(out T following))
            {
                next.Enqueue(run, following);
            }
        }

        merged.Append(MemoryMarshal.AsBytes(output.AsSpan(0, used)));
        merged.Seal();
        _spool.Dispose();
        _spool = merged;
    }

    /// <summary>Reads records in order.</summary>
    public sealed class Reader
    {
        private readonly SortedSpool<T> _source;
        private readonly RunReader? _run;
        private int _next;

        internal Reader(SortedSpool<T> source)
        {
            _source = source;
            _run = source._runs.Count == 0 ? null : new RunReader(source._spool, 0, source.Count, 1024);
        }

        public bool TryRead(out T record)
        {
            if (_run is not null)
            {
                return _run.TryRead(out record);
            }

            if (_next == _source._used)
            {
                record = default;
                return false;
            }

            record = _source._chunk[_next++];
            return true;
        }
    }

    private sealed class RunReader(Spool spool, long start, long count, int bufferRecords)
    {
        private readonly T[] _buffer = new T[Math.Min(count, bufferRecords)];
        private long _at = start;
        private long _left = count;
        private int _next;
        private int _filled;

        public bool TryRead(out T record)
        {
            if (_next == _filled)
            {
                if (_left == 0)
                {
                    record = default;
                    return false;
                }

                Span<byte> bytes = MemoryMarshal.AsBytes(_buffer.AsSpan(0, (int)Math.Min(_left, _buffer.Length)));
                _ = spool.Read(_at, bytes);
                _at += bytes.Length;
                _filled = (int)Math.Min(_left, _buffer.Length);
                _left -= _filled;
                _next = 0;
            }

            record = _buffer[_next++];
            return true;
        }
    }
}
