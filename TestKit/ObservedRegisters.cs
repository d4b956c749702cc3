// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.TestKit;

/// <summary>Registers in front of others: writes are recorded, single ones read as a test says, one can be held
/// back.</summary>
/// <param name="log">Takes writes as steps of kind <see cref="StepKind.Register"/>.</param>
public sealed class ObservedRegisters(IRegisterFile inner, ObservedMemory? log = null) : IRegisterFile
{
    private const int None = -1;
    private (int Bytes, ulong Value)? _latest;
    private readonly Lock _gate = new();
    private int _held = None;

    /// <summary>What registers read as, in place of their value.</summary>
    public Dictionary<int, Func<ulong, ulong>> Reads { get; } = [];

    /// <summary>The last value that was held back; 0 where there is none.</summary>
    public ulong HeldValue
    {
        get
        {
            lock (_gate)
            {
                return _latest?.Value ?? 0;
            }
        }
    }

    /// <summary>Writes of a register are held back, until <see cref="Release"/>.</summary>
    public void Hold(int offset) => _held = offset;

    /// <summary>Hands the latest write that was held back on.</summary>
    public void Deliver()
    {
        (int Bytes, ulong Value)? latest;
        lock (_gate)
        {
            latest = _latest;
            _latest = null;
        }

        if (latest is not { } write)
        {
            return;
        }

        if (write.Bytes == 4)
        {
            inner.Write32(_held, (uint)write.Value);
        }
        else
        {
            inner.Write64(_held, write.Value);
        }
    }

    /// <summary>Hands the latest write on, and all others from now on.</summary>
    public void Release()
    {
        Deliver();
        _held = None;
    }

    public uint Read32(int offset) =>
        Reads.TryGetValue(offset, out Func<ulong, ulong>? read) ? (uint)read(inner.Read32(offset))
            : inner.Read32(offset);

    public ulong Read64(int offset) =>
        Reads.TryGetValue(offset, out Func<ulong, ulong>? read) ? read(inner.Read64(offset)) : inner.Read64(offset);

    public void Write32(int offset, uint value)
    {
        if (!IsHeld(offset, 4, value))
        {
            inner.Write32(offset, value);
        }
    }

    public void Write64(int offset, ulong value)
    {
        if (!IsHeld(offset, 8, value))
        {
            inner.Write64(offset, value);
        }
    }

    private bool IsHeld(int offset, int bytes, ulong value)
    {
        log?.Note(StepKind.Register, (ulong)offset, value);
        if (offset != _held)
        {
            return false;
        }

        lock (_gate)
        {
            _latest = (bytes, value);
        }

        return true;
    }
}
