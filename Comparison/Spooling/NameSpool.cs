// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace PasidFramework.Comparison.Spooling;

/// <summary>
/// Names by number. A recording has few names and many uses of each, so the last few thousand are in memory; a name
/// that has fallen out gets another number when it comes again.
/// </summary>
internal sealed class NameSpool : IDisposable
{
    /// <summary>Names that are kept in memory by the writer, and by each reader.</summary>
    public const int MaxHeld = 4096;

    private readonly Spool _spool = new();
    private readonly Dictionary<string, long> _numbers = new(StringComparer.Ordinal);

    /// <summary>Number of a name.</summary>
    public long Add(string name)
    {
        if (_numbers.TryGetValue(name, out long number))
        {
            return number;
        }

        if (_numbers.Count == MaxHeld)
        {
            _numbers.Clear();
        }

        int length = name.Length;
        number = _spool.Append(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in length)));
        _spool.Append(MemoryMarshal.AsBytes(name.AsSpan()));
        _numbers[name] = number;
        return number;
    }

    /// <summary>Nothing will be added any more.</summary>
    public void Seal()
    {
        _spool.Seal();
        _numbers.Clear();
    }

    /// <summary>Makes a reader, for one thread; before <see cref="Seal"/> for the writer's.</summary>
    public Reader Open() => new(_spool);

    public void Dispose() => _spool.Dispose();

    /// <summary>Finds names by their numbers.</summary>
    public sealed class Reader
    {
        private readonly Spool _spool;
        private readonly Dictionary<long, string> _names = [];

        internal Reader(Spool spool) => _spool = spool;

        public string Get(long number)
        {
            if (_names.TryGetValue(number, out string? name))
            {
                return name;
            }

            if (_names.Count == MaxHeld)
            {
                _names.Clear();
            }

            int length = 0;
            _ = _spool.Read(number, MemoryMarshal.AsBytes(new Span<int>(ref length)));
            name = string.Create(length, (_spool, number), static (span, from) =>
                _ = from._spool.Read(from.number + sizeof(int), MemoryMarshal.AsBytes(span)));
            _names[number] = name;
            return name;
        }
    }
}
