// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Tests;

public sealed class CommandQueueTests : IDisposable
{
    private const int CmdqBase = 0x90;
    private const int CmdqProd = 0x98;
    private const int CmdqCons = 0x9C;
    private const int Gerror = 0x60;
    private const int Gerrorn = 0x64;
    private const int Cr0 = 0x20;
    private readonly SystemMemory _memory = new();
    private readonly SmmuHardware _hardware;

    public CommandQueueTests() => _hardware = new SmmuHardware(
        _memory,
        SmmuHardwareOptions.Parse(
            new HardwareSetup { Options = new Dictionary<string, string> { ["log"] = "1000000" } }));

    public void Dispose() => _hardware.Dispose();

    [Theory]
    [InlineData(0), InlineData(1), InlineData(3), InlineData(8)]
    public void Commands_arrive_once_and_in_order_over_many_wraps(int log2)
    {
        using CommandQueue queue = Start(_hardware.Registers, log2);
        uint next = 0;
        for (int round = 0; round < 400; round++)
        {
            var batch = new CommandBatch(queue);
            for (int i = 0; i <= round % 37; i++)
            {
                batch.Add(Commands.CfgiCdAll(next++));
            }

            Assert.True(batch.Complete().IsOk);
        }

        SmmuCommand[] log = _hardware.RegisterFile.Log();
        Assert.Equal(
            Enumerable.Range(0, (int)next).Select(i => (uint)i),
            log.Where(c => c.Opcode == SmmuOpcode.CFGI_CD_ALL).Select(c => (uint)(c.Word0 >> 32)));
        Assert.Equal(400, log.Count(c => c.Opcode == SmmuOpcode.SYNC));
        Assert.Equal(log.Length, queue.Commands);
        Assert.True(queue.Commands > 10 * queue.Capacity);
    }

    [Fact]
    public void A_sync_is_the_last_command_of_every_operation()
    {
        using CommandQueue queue = Start(_hardware.Registers, 4);
        var batch = new CommandBatch(queue);
        batch.Add(Commands.TlbiNhAsid(0, 1));
        batch.Fence();
        batch.Add(Commands.AtcInv(1, 1, 0, 52));
        batch.Complete();

        Assert.Equal(
            ["TLBI_NH_ASID 1", "SYNC", "ATC_INV 1/1 size=52", "SYNC"],
            _hardware.RegisterFile.Log().Select(c => DecodedCommand.From(c.Word0, c.Word1).ToString()));
    }

    [Fact]
    public void A_command_is_flushed_before_the_producer_moves()
    {
        var memory = new ObservedMemory(0x8_4000_0000);
        using var hardware = new SmmuHardware(memory, SmmuHardwareOptions.Parse(new HardwareSetup()));
        bool acknowledged = false;
        var spy = new SpyRegisters(hardware.Registers, (offset, value) =>
        {
            if (offset == CmdqProd && value != 0)
            {
                acknowledged = true;
                ulong[] words = memory.WalkerWords(hardware.Registers.Read64(CmdqBase) & 0xFFFF_FFFF_FFE0, 4);
                Assert.Equal([.. Vector.Of("cmd/cfgi-cd-all").Padded(2), .. Vector.Of("cmd/sync").Padded(2)], words);
                Assert.Equal(StepKind.Barrier, memory.Steps[^1].Kind);
            }
        });
        using CommandQueue queue = Start(spy, 4, memory);

        var batch = new CommandBatch(queue);
        batch.Add(Commands.CfgiCdAll(0x18));
        Assert.True(batch.Complete().IsOk);
        Assert.True(acknowledged);
    }

    [Fact]
    public void Two_threads_each_see_their_own_commands_complete_in_order()
    {
        int rounds = Effort.Of(200);
        const int Batches = 20;
        int inside = 0;
        int overlaps = 0;

        // Giving the processor away while the producer moves invites the other thread in; it must not come.
        var registers = new SpyRegisters(_hardware.Registers, (offset, _) =>
        {
            if (offset == CmdqProd)
            {
                overlaps += Interlocked.Exchange(ref inside, 1);
                Thread.Yield();
                Volatile.Write(ref inside, 0);
            }
        });
        using CommandQueue queue = Start(registers, 3);
        OpResult[] failures = new OpResult[2];

        Race.Run(2, (thread, barrier) =>
        {
            uint next = 0;
            for (int round = 0; round < rounds; round++)
            {
                barrier.SignalAndWait();
                for (int i = 0; i < Batches; i++)
                {
                    var batch = new CommandBatch(queue);
                    batch.Add(Commands.CfgiCd((uint)thread, next++, leaf: true));
                    batch.Add(Commands.CfgiCd((uint)thread, next++, leaf: true));
                    OpResult result = batch.Complete();
                    failures[thread] = result.IsOk ? failures[thread] : result;
                }
            }
        });

        Assert.All(failures, f => Assert.True(f.IsOk, f.ToString()));
        Assert.Equal(0, overlaps);
        SmmuCommand[] log = _hardware.RegisterFile.Log();
        Assert.Equal(2 * rounds * Batches * 3, log.Length);
        for (uint thread = 0; thread < 2; thread++)
        {
            Assert.Equal(
                Enumerable.Range(0, rounds * Batches * 2).Select(i => (uint)i),
                log.Where(c => c.Opcode == SmmuOpcode.CFGI_CD && c.Word0 >> 32 == thread)
                    .Select(c => (uint)(c.Word0 >> 12 & 0xFFFFF)));
        }
    }

    [Fact]
    public void Hardware_that_consumes_later_on_another_thread_loses_nothing()
    {
        int rounds = Effort.Of(300);
        var registers = new ObservedRegisters(_hardware.Registers);
        registers.Hold(CmdqProd);
        using CommandQueue queue = Start(registers, 2, pollLimit: 10_000_000);
        OpResult[] failures = new OpResult[2];
        int running = 2;
        Race.Run(3, (thread, _) =>
        {
            if (thread == 2)
            {
                while (Volatile.Read(ref running) != 0)
                {
                    registers.Deliver();
                    Thread.Yield();
                }

                return;
            }

            try
            {
                for (uint round = 0; round < rounds; round++)
                {
                    var batch = new CommandBatch(queue);
                    for (uint i = 0; i < 9; i++)
                    {
                        batch.Add(Commands.CfgiCd((uint)thread, (round * 9) + i, leaf: true));
                    }

                    OpResult result = batch.Complete();
                    failures[thread] = result.IsOk ? failures[thread] : result;
                }
            }
            finally
            {
                Interlocked.Decrement(ref running);
            }
        });

        Assert.All(failures, f => Assert.True(f.IsOk, f.ToString()));
        Assert.Equal(2 * rounds * 10, _hardware.RegisterFile.Consumed);
        SmmuCommand[] log = _hardware.RegisterFile.Log();
        for (uint thread = 0; thread < 2; thread++)
        {
            Assert.Equal(
                Enumerable.Range(0, rounds * 9).Select(i => (uint)i),
                log.Where(c => c.Opcode == SmmuOpcode.CFGI_CD && c.Word0 >> 32 == thread)
                    .Select(c => (uint)(c.Word0 >> 12 & 0xFFFFF)));
        }
    }

    [Fact]
    public void A_full_queue_whose_hardware_stands_still_times_out_and_overwrites_nothing()
    {
        var bent = new ObservedRegisters(_hardware.Registers);
        using CommandQueue queue = Start(bent, 2, pollLimit: 50);
        bent.Hold(0x98);
        var batch = new CommandBatch(queue);
        for (uint i = 0; i < 10; i++)
        {
            batch.Add(Commands.CfgiCdAll(i));
        }

        Refused(Errno.ETIMEDOUT, "full", batch.Complete());
        Assert.Equal(4, queue.Commands);
        bent.Release();
        Assert.Equal([0u, 1u, 2u, 3u], _hardware.RegisterFile.Log().Select(c => (uint)(c.Word0 >> 32)));

        // Once the hardware moves again so does the queue.
        Assert.True(Sync(queue).IsOk);
    }

    [Fact]
    public void A_sync_that_never_completes_times_out_with_the_register_named()
    {
        var bent = new ObservedRegisters(_hardware.Registers);
        using CommandQueue queue = Start(bent, 4, pollLimit: 50);
        bent.Hold(0x98);

        Refused(Errno.ETIMEDOUT, "CMDQ_CONS", Sync(queue));
    }

    [Fact]
    public void An_illegal_command_stops_the_hardware_until_it_is_acknowledged()
    {
        using CommandQueue queue = Start(_hardware.Registers, 4);
        ulong at = _hardware.Registers.Read64(CmdqBase) & 0xFFFF_FFFF_FFE0;
        _memory.WriteQword(at, 0x7F);
        _memory.WriteQword(at + 16, Commands.Sync().Word0);
        _memory.WriteQword(at + 32, Commands.Sync().Word0);

        _hardware.Registers.Write32(CmdqProd, 2);
        _hardware.Registers.Write32(CmdqProd, 3);

        Assert.Equal(0x0100_0000u, _hardware.Registers.Read32(CmdqCons));
        Assert.Equal(1u, _hardware.Registers.Read32(Gerror) ^ _hardware.Registers.Read32(Gerrorn));
        Assert.Empty(_hardware.RegisterFile.Log());

        _memory.WriteQword(at, Commands.Sync().Word0);
        _hardware.Registers.Write32(Gerrorn, _hardware.Registers.Read32(Gerror));
        Assert.Equal(3u, _hardware.Registers.Read32(CmdqCons));
        Assert.Equal(3, _hardware.RegisterFile.Log().Length);
    }

    [Fact]
    public void A_queue_outside_of_memory_is_an_abort()
    {
        _hardware.Registers.Write64(CmdqBase, 0x10_0000_0000 | 4);
        _hardware.Registers.Write32(Cr0, 8);
        _hardware.Registers.Write32(CmdqProd, 1);

        Assert.Equal(0x0200_0000u, _hardware.Registers.Read32(CmdqCons));
        Assert.Equal(1u, _hardware.Registers.Read32(Gerror));
    }

    [Fact]
    public void The_owner_of_an_illegal_command_gets_EIO_with_the_code_and_all_others_go_on()
    {
        var bent = new ObservedRegisters(_hardware.Registers);
        using CommandQueue queue = Start(bent, 4);
        bent.Hold(0x98);
        var before = new CommandBatch(queue);
        before.Add(Commands.CfgiCdAll(8));
        before.Submit();
        var bad = new CommandBatch(queue);
        bad.Add(new SmmuCommand(0x7F, 0));
        bad.Submit();
        var after = new CommandBatch(queue);
        after.Add(Commands.CfgiCdAll(9));
        after.Submit();
        bent.Release();

        OpResult others = after.WaitForCompletion();
        OpResult own = bad.WaitForCompletion();

        Assert.True(others.IsOk, others.ToString());
        Assert.True(before.WaitForCompletion().IsOk);
        Refused(Errno.EIO, "CERROR_ILL", own);
        Assert.Contains("000000000000007f", own.Reason, StringComparison.Ordinal);
        Assert.Equal(Commands.CfgiCdAll(9), _hardware.RegisterFile.Log()[4]);
    }

    [Fact]
    public void Many_illegal_commands_are_each_reported()
    {
        using CommandQueue queue = Start(_hardware.Registers, 4);
        for (int round = 0; round < 40; round++)
        {
            var bad = new CommandBatch(queue);
            bad.Add(new SmmuCommand(0x7F, 0));
            Assert.Equal(Errno.EIO, bad.Complete().Errno);
            Assert.True(Sync(queue).IsOk);
        }
    }

    [Theory]
    [InlineData(2, "CERROR_ABT"), InlineData(3, "CERROR_ATC_INV_SYNC")]
    public void An_error_that_stays_is_EIO_with_its_name_after_the_bounded_wait(int code, string name)
    {
        var bent = new ObservedRegisters(_hardware.Registers);
        using CommandQueue queue = Start(bent, 4, pollLimit: 50);
        bent.Hold(0x98);
        bent.Reads[Gerror] = _ => 1;
        bent.Reads[Gerrorn] = _ => 0;
        bent.Reads[CmdqCons] = _ => (uint)code << 24;

        Refused(Errno.EIO, name, Sync(queue));
    }

    [Theory]
    [InlineData(0x0000_0000_0000_0000UL, 0UL)] // no such opcode
    [InlineData(0x0000_0018_0000_0103UL, 1UL)] // CFGI_STE with reserved bit 8
    [InlineData(0x0000_0018_0000_0803UL, 1UL)] // CFGI_STE with SSV
    [InlineData(0x0000_0018_0000_0003UL, 2UL)] // CFGI_STE with a reserved bit of word 1
    [InlineData(0x0000_0000_0000_0446UL, 0UL)] // SYNC with SSec
    [InlineData(0x0000_0000_0000_3046UL, 0UL)] // SYNC with CS 3
    [InlineData(0x002a_0000_0000_0012UL, 0x400UL)] // TLBI_NH_VA: TG without range
    [InlineData(0x0000_0018_1234_5840UL, 53UL)] // ATC_INV of 2^53 pages
    public void The_hardware_refuses_what_is_not_a_command(ulong word0, ulong word1)
    {
        using CommandQueue queue = Start(_hardware.Registers, 4);
        var batch = new CommandBatch(queue);
        batch.Add(new SmmuCommand(word0, word1));

        Assert.Contains("CERROR_ILL", batch.Complete().Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Range_fields_are_refused_where_the_hardware_has_no_range_invalidation()
    {
        ulong[] words = Vector.Of("cmd/tlbi-nh-va-range").Padded(2);
        var command = new SmmuCommand(words[0], words[1]);
        Assert.True(Commands.IsLegal(command, hasRange: true));
        Assert.False(Commands.IsLegal(command, hasRange: false));
        ulong[] page = Vector.Of("cmd/tlbi-nh-va-page").Padded(2);
        Assert.True(Commands.IsLegal(new SmmuCommand(page[0], page[1]), hasRange: false));
    }

    private static OpResult Sync(CommandQueue queue)
    {
        var batch = new CommandBatch(queue);
        batch.Fence();
        return batch.Complete();
    }

    private CommandQueue Start(
        IRegisterFile registers, int log2, IPhysicalMemory? memory = null, int pollLimit = 1_000_000)
    {
        CommandQueue queue = CommandQueue.Create(
            memory ?? _memory,
            registers,
            log2,
            new PollTimeout(TimeProvider.System, TimeSpan.FromSeconds(1), pollLimit)).Value!;
        registers.Write64(CmdqBase, queue.Base);
        registers.Write32(CmdqProd, 0);
        registers.Write32(CmdqCons, 0);
        registers.Write32(Cr0, 8);
        return queue;
    }

    private sealed class SpyRegisters(IRegisterFile inner, Action<int, uint> onWrite) : IRegisterFile
    {
        public uint Read32(int offset) => inner.Read32(offset);
        public ulong Read64(int offset) => inner.Read64(offset);

        public void Write32(int offset, uint value)
        {
            onWrite(offset, value);
            inner.Write32(offset, value);
        }

        public void Write64(int offset, ulong value) => inner.Write64(offset, value);
    }
}
