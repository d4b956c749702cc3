// SPDX-License-Identifier: Apache-2.0
#if BROKEN

using PasidFramework.Drivers.Reference.Formats;
using PasidFramework.Hardware;

namespace Acme.Iommu;

/// <summary>Swallows every INVALIDATE_TRANSLATIONS, as if the driver did not send it.</summary>
internal sealed class ForgetfulHardware(IIommuHardware inner) : IIommuHardware, IRegisterFile
{
    private bool _isForgotten;
    public IPhysicalMemory Memory => inner.Memory;
    public IRegisterFile Registers => this;
    public bool IsCoherent => inner.IsCoherent;
    public TranslationResult Translate(in DmaAccess access) => inner.Translate(access);
    public uint Read32(int offset) => inner.Registers.Read32(offset);
    public ulong Read64(int offset) => inner.Registers.Read64(offset);
    public void Write32(int offset, uint value) => inner.Registers.Write32(offset, value);

    public void Write64(int offset, ulong value)
    {
        if (offset == PasidFramework.Drivers.Reference.Formats.Registers.COMMAND_0)
        {
            _isForgotten = (value & 0xF) == Command.Translations;
        }

        if (!_isForgotten || offset is not (
            PasidFramework.Drivers.Reference.Formats.Registers.COMMAND_0
            or PasidFramework.Drivers.Reference.Formats.Registers.COMMAND_1))
        {
            inner.Registers.Write64(offset, value);
        }
    }

    public void Dispose() => inner.Dispose();
}
#endif
