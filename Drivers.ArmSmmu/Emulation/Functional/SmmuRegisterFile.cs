// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>
/// The registers of the stand-in hardware with the consumer of the command queue and the producer of the event queue.
/// Both act before a register write returns (Arm IHI 0070 3.5, 4.1, 6.3, 7.1, 7.2).
/// </summary>
/// <param name="executor">Notified of every command that was accepted; may be null.</param>
internal sealed class SmmuRegisterFile(
    IDeviceMemory memory, SmmuHardwareOptions options, ISmmuCommandExecutor? executor) : IRegisterFile
{
    private const int PageWords = 0x100 / 4;
    private readonly uint[] _page0 = BuildPage0(options);
    private readonly uint[] _page1 = new uint[PageWords];
    private readonly Queue<SmmuCommand> _log = new();
    private SpinGate _gate;
    private long _consumed;
    public long Consumed => Volatile.Read(ref _consumed);

    /// <summary>The last consumed commands, oldest first.</summary>
    public SmmuCommand[] Log()
    {
        _gate.Enter();
        SmmuCommand[] copy = [.. _log];
        _gate.Exit();
        return copy;
    }

    public void ClearLog()
    {
        _gate.Enter();
        _log.Clear();
        _gate.Exit();
    }

    public uint Read32(int offset)
    {
        ref uint register = ref Find(offset, out bool exists);
        return exists ? Volatile.Read(ref register) : 0;
    }

    public ulong Read64(int offset) => Read32(offset) | ((ulong)Read32(offset + 4) << 32);

    public void Write32(int offset, uint value) => Write(offset, [value]);
    public void Write64(int offset, ulong value) => Write(offset, [(uint)value, (uint)(value >> 32)]);

    public StreamRoot StreamRoot => StreamRoot.Of(
        Read64(Registers.STRTAB_BASE),
        Read32(Registers.STRTAB_BASE_CFG),
        (Read32(Registers.CR2) & Registers.CR2_RECINVSID) != 0);

    public bool IsEnabled => (Read32(Registers.CR0) & Registers.CR0_SMMUEN) != 0;

    /// <summary>What becomes of an access while SMMUEN is 0; null while it is 1.</summary>
    public TranslationResult? WhileDisabled(in DmaAccess access)
    {
        if (IsEnabled)
        {
            return null;
        }

        return (Read32(Registers.GBPA) & Registers.GBPA_ABORT) != 0
            ? new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null)
            : new TranslationResult(TranslationStatus.Bypassed, access.Address, 0, 0, null);
    }

    /// <summary>Records a fault, if it is one.</summary>
    public void Record(in DmaAccess access, in SmmuFault fault)
    {
        if (fault.IsFault)
        {
            Span<ulong> record = stackalloc ulong[Events.Words];
            fault.Encode(access, record);
            WriteEvent(record);
        }
    }

    /// <summary>Appends an event record; without room it is lost and the overflow flag toggles.</summary>
    public void WriteEvent(ReadOnlySpan<ulong> record)
    {
        _gate.Enter();
        try
        {
            if ((Read32(Registers.CR0) & Registers.CR0_EVTQEN) == 0)
            {
                return;
            }

            DeviceRing ring = Ring(Registers.EVENTQ_BASE, Events.Words * sizeof(ulong));
            uint producer = Read32(Registers.EVENTQ_PROD);
            uint consumer = Read32(Registers.EVENTQ_CONS);
            if (!ring.IsFull(producer, consumer) && ring.TryWrite(producer, record))
            {
                Put(Registers.EVENTQ_PROD, (producer & Registers.QueueOverflow) | ring.Next(producer));
            }
            else if (((producer ^ consumer) & Registers.QueueOverflow) == 0)
            {
                // The flag toggles once; the driver acknowledges by copying it to the consumer.
                Put(Registers.EVENTQ_PROD, producer ^ Registers.QueueOverflow);
            }
        }
        finally
        {
            _gate.Exit();
        }
    }

    private static uint[] BuildPage0(SmmuHardwareOptions options)
    {
        var page = new uint[PageWords];
        page[Registers.IDR0 / 4] = options.Idr0;
        page[Registers.IDR1 / 4] = options.Idr1;
        page[Registers.IDR3 / 4] = options.Idr3;
        page[Registers.IDR5 / 4] = options.Idr5;
        return page;
    }

    private ref uint Find(int offset, out bool exists)
    {
        exists = true;
        if ((offset & 3) == 0)
        {
            if ((uint)offset < PageWords * 4)
            {
                return ref _page0[offset / 4];
            }

            if ((uint)(offset - Registers.Page1) < PageWords * 4)
            {
                return ref _page1[(offset - Registers.Page1) / 4];
            }
        }

        exists = false;
        return ref _page1[0];
    }

    private void Write(int offset, ReadOnlySpan<uint> values)
    {
        _gate.Enter();
        try
        {
            for (int i = 0; i < values.Length; i++)
            {
                Store(offset + (4 * i), values[i]);
            }
        }
        finally
        {
            _gate.Exit();
        }
    }

    private void Put(int offset, uint value)
    {
        ref uint register = ref Find(offset, out bool exists);
        if (exists)
        {
            Volatile.Write(ref register, value);
        }
    }

    private bool IsOn(uint bit) => (_page0[Registers.CR0 / 4] & bit) != 0;

    // Inside the gate.
    private void Store(int offset, uint value)
    {
        switch (offset)
        {
            case Registers.IDR0 or Registers.IDR1 or Registers.IDR3 or Registers.IDR5:
            case Registers.CR0ACK or Registers.GERROR:
                break;
            case Registers.CR0:
                executor?.ControlChanged(_page0[Registers.CR0 / 4], value);
                Put(Registers.CR0, value);
                Put(Registers.CR0ACK, value);
                Consume();
                break;
            case Registers.GBPA:
                // Only a write that asks for the update takes effect, and it is done at once.
                if ((value & Registers.GBPA_UPDATE) != 0)
                {
                    Put(Registers.GBPA, value & ~Registers.GBPA_UPDATE);
                }

                break;
            case Registers.GERRORN:
                Put(Registers.GERRORN, value);
                Consume();
                break;
            case Registers.CMDQ_PROD:
                Put(Registers.CMDQ_PROD, value);
                Consume();
                break;

            // Bases and the hardware's own positions do not change under a queue or table that is in use.
            case Registers.CMDQ_BASE or Registers.CMDQ_BASE + 4 or Registers.CMDQ_CONS when IsOn(Registers.CR0_CMDQEN):
            case Registers.EVENTQ_BASE or Registers.EVENTQ_BASE + 4 or Registers.EVENTQ_PROD
                when IsOn(Registers.CR0_EVTQEN):
            case Registers.STRTAB_BASE or Registers.STRTAB_BASE + 4 or Registers.STRTAB_BASE_CFG
                when IsOn(Registers.CR0_SMMUEN):
                executor?.Refused(offset, value);
                break;
            case Registers.CR1 when (_page0[Registers.CR0 / 4] & Registers.CR0_InUse) != 0:
            case Registers.CR2 when IsOn(Registers.CR0_SMMUEN):
                executor?.Refused(offset, value);
                break;
            default:
                Put(offset, value);
                break;
        }
    }

    private DeviceRing Ring(int offset, int entryBytes)
    {
        ulong start = Read64(offset);
        int log2 = (int)Math.Min(19, start.Get(Registers.QUEUE_LOG2SIZE));
        return new DeviceRing(memory, start.GetAddress(Registers.QUEUE_ADDR), log2, entryBytes);
    }

    // Inside the gate: takes commands until the queue is empty or one is wrong.
    private void Consume()
    {
        if (!IsOn(Registers.CR0_CMDQEN))
        {
            return;
        }

        DeviceRing ring = Ring(Registers.CMDQ_BASE, SmmuCommand.Bytes);
        uint producer = _page0[Registers.CMDQ_PROD / 4];
        uint consumer = _page0[Registers.CMDQ_CONS / 4] & ((2 * ring.Slots) - 1);
        Span<ulong> words = stackalloc ulong[SmmuCommand.Words];
        while (!ring.IsEmpty(producer, consumer)
            && ((_page0[Registers.GERROR / 4] ^ _page0[Registers.GERRORN / 4]) & Registers.GERROR_CMDQ_ERR) == 0)
        {
            if (!ring.TryRead(consumer, words))
            {
                Stop(consumer, Registers.CERROR_ABT);
                return;
            }

            var command = new SmmuCommand(words[0], words[1]);
            if (!Commands.IsLegal(command, options.HasRange))
            {
                Stop(consumer, Registers.CERROR_ILL);
                return;
            }

            executor?.Execute(command);
            if (options.LogCapacity > 0)
            {
                if (_log.Count == options.LogCapacity)
                {
                    _log.Dequeue();
                }

                _log.Enqueue(command);
            }

            Volatile.Write(ref _consumed, _consumed + 1);
            consumer = ring.Next(consumer);
            Put(Registers.CMDQ_CONS, consumer);
        }
    }

    private void Stop(uint consumer, int code)
    {
        Put(Registers.CMDQ_CONS, consumer | ((uint)code << Registers.CMDQ_CONS_ERR.Shift));
        Put(Registers.GERROR, _page0[Registers.GERROR / 4] ^ Registers.GERROR_CMDQ_ERR);
    }
}

/// <summary>Carries commands out: what a model with caches plugs in. Called inside the register file's
/// gate.</summary>
internal interface ISmmuCommandExecutor
{
    /// <summary>Carries one command out, in queue order.</summary>
    void Execute(SmmuCommand command);

    void ControlChanged(uint before, uint after)
    {
    }

    /// <summary>A write was ignored because the register may not change now.</summary>
    void Refused(int offset, uint value)
    {
    }
}
