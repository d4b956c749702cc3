// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Emulation.Functional;

/// <summary>
/// The reference IOMMU: registers, commands, fault records, and a walk from the requester to the root of the process's
/// page tables, where it stops. It keeps nothing of what it reads. Reference architecture, sections 2, 4 and 5.
/// </summary>
/// <remarks>Safe for concurrent use.</remarks>
internal class ReferenceHardware : IIommuHardware, IRegisterFile, IEntrySource
{
    private static readonly Option<int> s_asidBits = Option.Number("asid-bits", 1, 16, 16);
    private static readonly Option<bool> s_ats = Option.Flag("ats", true);
    private static readonly Option<int> s_faults = Option.Number("fault-records", 1, 64, 16);
    private static readonly OptionSet s_options = new("reference hardware", s_asidBits, s_ats, s_faults);
    private readonly IMemoryReader _walker;
    private readonly ulong _id;
    private readonly int _faultRecords;
    private readonly Queue<ulong[]> _faults = new();
    private ulong _deviceTable;
    private ulong _command0;
    private ulong _status = CommandStatus.DONE.WordMask;
    private ulong[]? _running;
    private bool _wasPolled;
    private bool _isOn;
    private bool _lostFaults;

    /// <param name="walker">That memory as the walker sees it.</param>
    /// <exception cref="ArgumentException">An option is unknown or out of its range, or the width is.</exception>
    public ReferenceHardware(IPhysicalMemory memory, IMemoryReader walker, HardwareSetup setup)
    {
        OptionValues options = s_options.Read(setup);
        Memory = memory;
        _walker = walker;
        _faultRecords = options.Get(s_faults);
        _id = 0UL.With(Id.VERSION, Id.Version)
            .With(Id.PASIDBITS, (ulong)setup.PasidBits)
            .With(Id.ASIDBITS, (ulong)options.Get(s_asidBits))
            .With(Id.C, setup.Coherent ? 1UL : 0)
            .With(Id.ATS, options.Get(s_ats) ? 1UL : 0)
            .With(Id.FAULTS, (ulong)_faultRecords);
        IsCoherent = setup.Coherent;
    }

    public IPhysicalMemory Memory { get; }
    public IRegisterFile Registers => this;
    public bool IsCoherent { get; }

    /// <summary>Serialises everything.</summary>
    protected Lock Gate { get; } = new();
    protected bool IsOn => _isOn;

    public TranslationResult Translate(in DmaAccess access)
    {
        lock (Gate)
        {
            (FaultCode fault, TranslationResult result) = _isOn ? Access(access) : (FaultCode.Quiet, default);
            return fault switch
            {
                FaultCode.None => result,
                FaultCode.Quiet => new TranslationResult(TranslationStatus.AbortedQuietly, 0, 0, 0, null),
                _ => Recorded(access, fault),
            };
        }
    }

    public uint Read32(int offset) => (uint)(Read64(offset & ~7) >> ((offset & 4) * 8));

    public ulong Read64(int offset)
    {
        lock (Gate)
        {
            return offset switch
            {
                Formats.Registers.ID => _id,
                Formats.Registers.CONTROL => _isOn ? Control.ENABLE.WordMask | Control.ENABLED.WordMask : 0,
                Formats.Registers.DEVICE_TABLE => _deviceTable,
                Formats.Registers.COMMAND_STATUS => Poll(),
                Formats.Registers.FAULT_0 =>
                    Fault(0) | (_lostFaults ? FaultRecord.OVF.WordMask : 0),
                Formats.Registers.FAULT_1 => Fault(1),
                Formats.Registers.FAULT_2 => Fault(2),
                _ => 0,
            };
        }
    }

    public void Write32(int offset, uint value)
    {
        lock (Gate)
        {
            OnInvalidAccess("reference-register",
                Text($"32 bits were written at 0x{offset:x}, all registers have 64 (2)"));
        }
    }

    public void Write64(int offset, ulong value)
    {
        lock (Gate)
        {
            switch (offset)
            {
                case Formats.Registers.CONTROL:
                    Switch(value);
                    break;
                case Formats.Registers.DEVICE_TABLE when _isOn:
                    OnInvalidAccess("reference-device-table", "DEVICE_TABLE was written while ENABLED = 1 (2.3)");
                    break;
                case Formats.Registers.DEVICE_TABLE:
                    _deviceTable = value;
                    break;
                case Formats.Registers.COMMAND_0 or Formats.Registers.COMMAND_1 when _running is not null:
                    OnInvalidAccess("reference-command-busy", "a command was written while DONE = 0 (2.4)");
                    break;
                case Formats.Registers.COMMAND_0:
                    _command0 = value;
                    break;
                case Formats.Registers.COMMAND_1:
                    _running = [_command0, value];
                    _wasPolled = false;
                    break;
                case Formats.Registers.FAULT_0:
                    _lostFaults &= !value.Has(FaultRecord.OVF);
                    if (value.Has(FaultRecord.V))
                    {
                        _faults.TryDequeue(out _);
                    }

                    break;
                default:
                    OnInvalidAccess("reference-register", Text($"nothing can be written at 0x{offset:x} (2)"));
                    break;
            }
        }
    }

    public virtual bool Read(in WalkPoint point, Span<ulong> words) => _walker.TryReadWords(point.Address, words);

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Follows the configuration of an access.</summary>
    protected Configured Configure(in DmaAccess access) =>
        Walker.Configure(_deviceTable, (int)_id.Get(Id.PASIDBITS), access, this);

    /// <summary>Byte address of a device entry.</summary>
    protected ulong DeviceEntryAt(uint requester) =>
        _deviceTable.GetAddress(DeviceTable.BASE) + ((ulong)requester * DeviceEntry.SizeBytes);

    /// <summary>What becomes of an access while it translates; the gate is held.</summary>
    protected virtual (FaultCode Fault, TranslationResult Result) Access(in DmaAccess access)
    {
        Configured found = Configure(access);
        return (found.Fault, new TranslationResult(TranslationStatus.ReachedPageTable, 0, found.Root, 0, null));
    }

    /// <summary>A well-formed command takes effect; the gate is held.</summary>
    protected virtual void Execute(ReadOnlySpan<ulong> command)
    {
        // Nothing is kept, so there is nothing to forget.
    }

    /// <summary>It was switched; the gate is held.</summary>
    protected virtual void Switched()
    {
    }

    /// <summary>The driver did something that has no meaning; the gate is held.</summary>
    protected virtual void OnInvalidAccess(string rule, string message)
    {
    }

    /// <summary>Ends what was begun at construction.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }

    private ulong Fault(int word) => _faults.TryPeek(out ulong[]? record) ? record[word] : 0;

    private void Switch(ulong value)
    {
        bool on = value.Has(Control.ENABLE);
        if ((value & ~Control.ENABLE.WordMask) != 0)
        {
            OnInvalidAccess("reference-control", Text(
                $"CONTROL was written with 0x{value:x}, all bits but ENABLE must be 0 (2.2)"));
        }

        if (on && _isOn)
        {
            OnInvalidAccess("reference-control", "ENABLE was set while ENABLED = 1 (2.2)");
        }

        if (on && (DeviceTable.Layout.Check([_deviceTable]).Count > 0
            || _deviceTable.Get(DeviceTable.LOG2) is < 1 or > DeviceTable.MostLog2))
        {
            OnInvalidAccess("reference-control", Text($"ENABLE was set with DEVICE_TABLE = 0x{_deviceTable:x} (2.3)"));
            return;
        }

        _isOn = on;
        if (!on)
        {
            _running = null;
            _status = CommandStatus.DONE.WordMask;
        }

        Switched();
    }

    // As late as it may be: a driver that does not wait for DONE has invalidated nothing yet.
    private ulong Poll()
    {
        if (_running is not { } command)
        {
            return _status;
        }

        if (!_wasPolled)
        {
            _wasPolled = true;
            return 0;
        }

        _running = null;
        _status = CommandStatus.DONE.WordMask;
        Layout? layout = Command.LayoutOf(command[0].Get(Command.OP));
        string? wrong = layout is null
            ? Text($"has no operation {command[0].Get(Command.OP)}")
            : layout.Check(command).Select(v => v.ToString()).FirstOrDefault();
        if (wrong is not null)
        {
            _status |= CommandStatus.ERROR.WordMask;
            OnInvalidAccess("reference-command", Text($"command 0x{command[0]:x} 0x{command[1]:x} {wrong} (4)"));
            return _status;
        }

        Execute(command);
        return _status;
    }

    private TranslationResult Recorded(in DmaAccess access, FaultCode fault)
    {
        if (_faults.Count == _faultRecords)
        {
            _lostFaults = true;
        }
        else
        {
            _faults.Enqueue(
            [
                0UL.With(FaultRecord.V, 1)
                    .With(FaultRecord.W, access.IsWrite ? 1UL : 0)
                    .With(FaultRecord.P, access.Pasid is null ? 0UL : 1)
                    .With(FaultRecord.CODE, (ulong)fault)
                    .With(FaultRecord.PASID, access.Pasid?.Value ?? 0),
                access.Address,
                access.Requester.Value,
            ]);
        }

        return new TranslationResult(TranslationStatus.Faulted, 0, 0, (int)fault, FaultCodes.Describe((int)fault));
    }
}
