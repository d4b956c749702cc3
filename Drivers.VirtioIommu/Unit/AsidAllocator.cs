using System.Numerics;
using PasidFramework.Allocation;

namespace PasidFramework.Drivers.VirtioIommu.Unit;

/// <summary>
/// Address space tags of one unit, 1 to 2^bits - 1 (Arm SMMUv3, IHI 0070: 16 bits, or 8 without IDR0.ASID16; 0 is left
/// for what has no process). Safe for concurrent use, never blocks, allocates nothing after its construction.
/// </summary>
internal sealed class AsidAllocator
{
    private readonly ulong[] _taken;
    private readonly int _count;
    private SpinGate _gate;
    private int _hint;
    private int _live;

    /// <summary>Makes an allocator with every tag free.</summary>
    /// <param name="bits">Width, 8 or 16 bits.</param>
    public AsidAllocator(int bits)
    {
        _count = 1 << bits;
        _taken = new ulong[_count / 64];
        _taken[0] = 1;
    }

    /// <summary>Tags that are handed out.</summary>
    public int LiveCount => Volatile.Read(ref _live);

    /// <summary>The last tag.</summary>
    public int Last => _count - 1;

    /// <summary>Takes a tag.</summary>
    /// <returns>The tag, or 0 where none is left.</returns>
    public int Allocate()
    {
        _gate.Enter();
        try
        {
            // The search starts where it ended last, so full words at the start are not looked at every time.
            for (int i = 0; i < _taken.Length; i++)
            {
                int word = (_hint + i) % _taken.Length;
                if (_taken[word] != ulong.MaxValue)
                {
                    int bit = BitOperations.TrailingZeroCount(~_taken[word]);
                    _taken[word] |= 1UL << bit;
                    _hint = word;
                    _live++;
                    return (word * 64) + bit;
                }
            }

            return 0;
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Gives a tag back.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not handed out.</exception>
    public void Free(int asid)
    {
        _gate.Enter();
        try
        {
            if (asid < 1 || asid >= _count || (_taken[asid / 64] & (1UL << (asid % 64))) == 0)
            {
                throw new ArgumentOutOfRangeException(nameof(asid), asid, "This ASID is not handed out.");
            }

            _taken[asid / 64] &= ~(1UL << (asid % 64));
            _live--;
        }
        finally
        {
            _gate.Exit();
        }
    }
}
