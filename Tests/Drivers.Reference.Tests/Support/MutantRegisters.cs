// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Tests;

/// <summary>What a broken driver does with one of its commands.</summary>
/// <param name="Number">The command's number, from 0.</param>
internal abstract record CommandMutation(int Number)
{
    /// <summary>It is not sent.</summary>
    internal sealed record Drop(int Number) : CommandMutation(Number);

    /// <summary>Something else is sent.</summary>
    internal sealed record Replace(int Number, string What, Command Other) : CommandMutation(Number);

    /// <summary>It is sent right after the next one.</summary>
    internal sealed record Swap(int Number) : CommandMutation(Number);

    /// <summary>Nothing waits until it is done.</summary>
    internal sealed record NoWait(int Number) : CommandMutation(Number);

    public override string ToString() => Text(
        $"{(this is Replace replace ? replace.What : GetType().Name)}, command {Number}");
}

/// <summary>Registers between driver and hardware that record commands and can break one.</summary>
internal sealed class MutantRegisters(IRegisterFile inner, CommandMutation? mutation) : IRegisterFile
{
    private Command? _held;
    private ulong _word0;
    private bool _pretendsDone;

    /// <summary>What the driver sent, or wanted to.</summary>
    public List<Command> Commands { get; } = [];

    /// <summary>How many commands there were when each operation ended.</summary>
    public List<int> OperationEnds { get; } = [];

    /// <summary>Whether the mutated command was reached.</summary>
    public bool Applied { get; private set; }

    /// <summary>An operation of the contract has returned.</summary>
    public void EndOperation()
    {
        OperationEnds.Add(Commands.Count);

        // The model answers at the second read: without a read it keeps running.
        LeavesRunning |= (inner.Read64(Registers.COMMAND_STATUS) & CommandStatus.DONE.WordMask) == 0;
    }

    /// <summary>Whether an operation returned before its last command was done.</summary>
    public bool LeavesRunning { get; private set; }

    public uint Read32(int offset) => inner.Read32(offset);

    public ulong Read64(int offset)
    {
        if (offset == Registers.COMMAND_STATUS && _pretendsDone)
        {
            // Once: what the driver itself would have polled. Whatever it does next finds the hardware as it is.
            _pretendsDone = false;
            return CommandStatus.DONE.WordMask;
        }

        return inner.Read64(offset);
    }

    public void Write32(int offset, uint value) => inner.Write32(offset, value);

    public void Write64(int offset, ulong value)
    {
        switch (offset)
        {
            case Registers.COMMAND_0:
                _word0 = value;
                break;
            case Registers.COMMAND_1:
                Commands.Add(new Command(_word0, value));
                Send(Commands.Count - 1, Commands[^1]);
                break;
            default:
                inner.Write64(offset, value);
                break;
        }
    }

    private void Send(int number, Command command)
    {
        if (_held is { } held)
        {
            _held = null;
            Applied = true;
            Forward(command);
            while ((inner.Read64(Registers.COMMAND_STATUS) & 1) == 0)
            {
                // The model answers at the second read.
            }

            Forward(held);
            return;
        }

        if (mutation?.Number != number)
        {
            Forward(command);
            return;
        }

        switch (mutation)
        {
            case CommandMutation.Swap:
                _held = command;
                break;
            case CommandMutation.Replace replace:
                Applied = true;
                Forward(replace.Other);
                break;
            case CommandMutation.NoWait:
                Applied = true;
                _pretendsDone = true;
                Forward(command);
                break;
            default:
                Applied = true;
                break;
        }
    }

    private void Forward(Command command)
    {
        inner.Write64(Registers.COMMAND_0, command.Word0);
        inner.Write64(Registers.COMMAND_1, command.Word1);
    }
}

/// <summary>Makes models whose registers break one command.</summary>
internal sealed class MutantModelFactory(IIommuModelFactory inner, CommandMutation? mutation) : IIommuModelFactory
{
    /// <summary>The registers of the last model.</summary>
    public MutantRegisters Registers { get; private set; } = null!;

    public IIommuModel Create(HardwareSetup setup, StoreOrder order = StoreOrder.Immediate)
    {
        IIommuModel model = inner.Create(setup, order);
        Registers = new MutantRegisters(model.Registers, mutation);
        return new MutantModel(model, Registers);
    }

    private sealed class MutantModel(IIommuModel model, IRegisterFile registers) : IIommuModel
    {
        public IModelMemory ModelMemory => model.ModelMemory;
        public IReadOnlyList<ProtocolViolation> Violations => model.Violations;
        public IReadOnlyList<CachedItem> Cached => model.Cached;
        public IPhysicalMemory Memory => model.Memory;
        public IRegisterFile Registers => registers;
        public bool IsCoherent => model.IsCoherent;
        public void DropCaches() => model.DropCaches();
        public TranslationResult Translate(in DmaAccess access) => model.Translate(access);
        public void Dispose() => model.Dispose();
    }
}
