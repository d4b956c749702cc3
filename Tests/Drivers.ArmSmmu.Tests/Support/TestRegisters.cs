using PasidFramework.Hardware;

namespace PasidFramework.Drivers.ArmSmmu.Tests.Support;

/// <summary>Registers in front of others: single ones answer what a test says, and commands can be held back.</summary>
internal sealed class TestRegisters(IRegisterFile inner) : IRegisterFile
{
    private const int CommandProducer = 0x98;

    private uint? _heldProducer;

    /// <summary>Registers that read as something else.</summary>
    public Dictionary<int, uint> Reads { get; } = [];

    /// <summary>While true the hardware is not notified of new commands.</summary>
    public bool HoldCommands
    {
        get;
        set
        {
            field = value;
            if (!value && _heldProducer is { } producer)
            {
                _heldProducer = null;
                inner.Write32(CommandProducer, producer);
            }
        }
    }

    public uint Read32(int offset) => Reads.TryGetValue(offset, out uint value) ? value : inner.Read32(offset);

    public ulong Read64(int offset) => inner.Read64(offset);

    public void Write32(int offset, uint value)
    {
        if (HoldCommands && offset == CommandProducer)
        {
            _heldProducer = value;
            return;
        }

        inner.Write32(offset, value);
    }

    public void Write64(int offset, ulong value) => inner.Write64(offset, value);
}

/// <summary>Notifies the hardware of commands only when another thread says so.</summary>
internal sealed class DeferredRegisters(IRegisterFile inner) : IRegisterFile
{
    private const int CommandProducer = 0x98;

    private long _producer = -1;

    /// <summary>Passes the latest producer on.</summary>
    public void Deliver()
    {
        long producer = Interlocked.Exchange(ref _producer, -1);
        if (producer >= 0)
        {
            inner.Write32(CommandProducer, (uint)producer);
        }
    }

    public uint Read32(int offset) => inner.Read32(offset);

    public ulong Read64(int offset) => inner.Read64(offset);

    public void Write32(int offset, uint value)
    {
        if (offset == CommandProducer)
        {
            Interlocked.Exchange(ref _producer, value);
            return;
        }

        inner.Write32(offset, value);
    }

    public void Write64(int offset, ulong value) => inner.Write64(offset, value);
}
