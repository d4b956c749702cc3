using System.Numerics;
using PasidFramework.Allocation;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

/// <summary>
/// Private ASIDs of one unit: 1 to 2^bits - 1, the lowest free one first; 0 is nobody's.
/// </summary>
/// <remarks>A freed number is handed out again at once: its owner has invalidated the TLB before.</remarks>
internal sealed class AsidAllocator
{
    private readonly ulong[] _taken;
    private SpinGate _gate;
    private int _firstFreeWord;
    private int _live;

    /// <summary>All free.</summary>
    /// <param name="bits">8 or 16 (IDR0.ASID16).</param>
    public AsidAllocator(int bits)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bits, 6);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bits, 16);
        Bits = bits;
        _taken = new ulong[1 << (bits - 6)];
        _taken[0] = 1;
    }

    /// <summary>Width in bits.</summary>
    public int Bits { get; }

    /// <summary>Numbers that are taken.</summary>
    public int Live => Volatile.Read(ref _live);

    /// <summary>Takes a number.</summary>
    /// <returns>The number, or ENOSPC.</returns>
    public OpResult<uint> Allocate()
    {
        _gate.Enter();
        try
        {
            for (int word = _firstFreeWord; word < _taken.Length; word++)
            {
                if (_taken[word] != ulong.MaxValue)
                {
                    int bit = BitOperations.TrailingZeroCount(~_taken[word]);
                    _taken[word] |= 1UL << bit;
                    _firstFreeWord = word;
                    _live++;
                    return OpResult<uint>.Ok((uint)((word << 6) + bit));
                }
            }

            _firstFreeWord = _taken.Length;
        }
        finally
        {
            _gate.Exit();
        }

        return OpResult<uint>.Refuse(
            Errno.ENOSPC, $"no ASID is left: {Bits} bits (IDR0.ASID16) make {(1 << Bits) - 1}");
    }

    /// <summary>Gives a number back.</summary>
    /// <param name="asid">A number that is taken.</param>
    /// <exception cref="ArgumentException">It is not taken.</exception>
    public void Free(uint asid)
    {
        int word = (int)(asid >> 6);
        ulong bit = 1UL << (int)(asid & 63);
        _gate.Enter();
        try
        {
            if (asid == 0 || word >= _taken.Length || (_taken[word] & bit) == 0)
            {
                throw new ArgumentException($"ASID {asid} is not taken.", nameof(asid));
            }

            _taken[word] &= ~bit;
            _firstFreeWord = Math.Min(_firstFreeWord, word);
            _live--;
        }
        finally
        {
            _gate.Exit();
        }
    }
}
