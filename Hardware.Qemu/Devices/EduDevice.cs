// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;

namespace PasidFramework.Qemu.Devices;

/// <summary>
/// QEMU's educational PCI device: it copies between memory, through the IOMMU, and a buffer of its own. Here it moves
/// one word of 4 bytes: larger transfers are several accesses, each with its own fault record.
/// </summary>
internal sealed class EduDevice
{
    private const int Identity = 0x11E8_1234;
    private const int Source = 0x80;
    private const int Destination = 0x88;
    private const int Count = 0x90;
    private const int Command = 0x98;
    private const ulong Buffer = 0x40000;
    private const uint Run = 1;
    private const uint ToMemory = 2;
    private readonly QemuMachine _machine;
    private readonly ulong _bar;
    private bool _isSetToStore;

    /// <summary>Sets the device up: its BAR and its right to issue requests.</summary>
    /// <exception cref="QemuException">It is not there.</exception>
    public EduDevice(QemuMachine machine, IPciConfiguration configuration, RequesterId requester, ulong bar)
    {
        _machine = machine;
        _bar = bar;
        Requester = requester;
        uint identity = configuration.Read(requester, 0);
        if (identity != Identity)
        {
            throw new QemuException(Text($"no edu device at {requester}: its identity is 0x{identity:x}"));
        }

        configuration.Write(requester, 0x10, (uint)bar);
        const uint MemoryAndBusMaster = 6;
        configuration.Write(requester, 4, MemoryAndBusMaster);
    }

    /// <summary>Who it is.</summary>
    public RequesterId Requester { get; }

    /// <summary>Reads 4 bytes by DMA into the buffer; a refused access overwrites it, too.</summary>
    /// <param name="address">Untranslated address, a multiple of 4.</param>
    /// <remarks>The processor cannot see the buffer: what was read is known when it has been stored
    /// somewhere.</remarks>
    public void Load(ulong address)
    {
        _isSetToStore = false;
        Transfer(
            QTestCommand.Write(_bar + Source, address, 64),
            QTestCommand.Write(_bar + Destination, Buffer, 64),
            QTestCommand.Write(_bar + Count, 4, 64),
            QTestCommand.Write(_bar + Command, Run, 64));
    }

    /// <summary>Writes the buffer's first 4 bytes by DMA; where the access is refused, nothing is written.</summary>
    /// <param name="address">Untranslated address, a multiple of 4.</param>
    public void Store(ulong address)
    {
        QTestCommand destination = QTestCommand.Write(_bar + Destination, address, 64);
        QTestCommand run = QTestCommand.Write(_bar + Command, Run | ToMemory, 64);
        if (_isSetToStore)
        {
            Transfer(destination, run);
            return;
        }

        Transfer(
            destination, QTestCommand.Write(_bar + Source, Buffer, 64), QTestCommand.Write(_bar + Count, 4, 64), run);
        _isSetToStore = true;
    }

    // The timer that ends it expires when time has passed: at once with the qtest accelerator, otherwise when QEMU is
    // idle.
    private void Transfer(params ReadOnlySpan<QTestCommand> commands)
    {
        QTestClient client = _machine.Client;
        QTestCommand state = QTestCommand.Read(_bar + Command, 32);
        long since = Stopwatch.GetTimestamp();
        ulong value = client.Run([.. commands, .. _machine.TimersExpire, state]);
        while ((value & Run) != 0)
        {
            if (Stopwatch.GetElapsedTime(since) > _machine.Setup.Patience)
            {
                throw new QemuException(Text(
                    $"the edu device {Requester} did not end its transfer within "
                        + $"{_machine.Setup.Patience.TotalSeconds} s"));
            }

            Thread.Yield();
            value = client.Run(state);
        }
    }
}
