// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Queues;

/// <summary>The event queue of one unit: Arm IHI 0070 3.5.1 (positions), 7.2 (event queue), 7.4 (overflow).</summary>
internal sealed class EventQueue : RecordRing
{
    private readonly IRegisterFile _registers;
    private readonly string _unit;
    private readonly int _log2;
    private uint _producer;

    private EventQueue(string unit, IPhysicalMemory memory, IRegisterFile registers, int log2, ulong address)
        : base(memory, address, log2, Events.Words)
    {
        _unit = unit;
        _registers = registers;
        _log2 = log2;
    }

    public ulong Base => Registers.QueueBase(Address, _log2);

    /// <summary>Makes an empty queue.</summary>
    /// <param name="registers">Producer and consumer.</param>
    /// <param name="log2">log2 of the number of records, 0 to 19.</param>
    /// <returns>The queue, or ENOMEM.</returns>
    public static OpResult<EventQueue> Create(string unit, IPhysicalMemory memory, IRegisterFile registers, int log2)
    {
        int bytes = 1 << (log2 + Events.BytesLog2);
        OpResult<ulong> address = memory.AllocatePages(bytes, Math.Max(4096, bytes));
        if (!address.IsOk)
        {
            return OpResult<EventQueue>.Refuse(address.Outcome);
        }

        // Its zeroes must not be written back over what the hardware records.
        memory.Flush(address.Value, bytes);
        return OpResult<EventQueue>.Ok(new EventQueue(unit, memory, registers, log2, address.Value));
    }

    protected override uint ReadProducer() => _producer = _registers.Read32(Registers.EVENTQ_PROD);

    /// <remarks>GERROR says nothing of lost records: overflow flags of producer and consumer do.</remarks>
    protected override OpResult Release(uint consumer, bool isMoved, bool isSkipped)
    {
        uint overflow = _producer & Registers.QueueOverflow;
        bool isLost = overflow != (_registers.Read32(Registers.EVENTQ_CONS) & Registers.QueueOverflow);
        if (isMoved || isLost)
        {
            _registers.Write32(Registers.EVENTQ_CONS, consumer | overflow);
        }

        return isSkipped
            ? Lost($"EVENTQ_PROD 0x{_producer:x} is beyond the queue's {Slots} records: all are skipped")
            : isLost
                ? Lost($"EVENTQ_PROD.OVFLG toggled: events were lost, all {Slots} records were in use")
                : OpResult.Ok;
    }

    protected override IommuFault Decode(ReadOnlySpan<ulong> record) => EventDecoder.Decode(record);

    private OpResult Lost(InvariantText why) => OpResult.Refuse(Errno.EOVERFLOW, $"{_unit}: {Text(why)}");
}
