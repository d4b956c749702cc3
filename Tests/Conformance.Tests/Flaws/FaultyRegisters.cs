// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;

namespace PasidFramework.Conformance.Tests.Flaws;

/// <summary>Reads of one register, changed.</summary>
internal sealed class FaultyReads(IRegisterFile inner, int register, Func<ulong, ulong, ulong> change) : IRegisterFile
{
    private ulong _written;
    public uint Read32(int offset) => inner.Read32(offset);

    public ulong Read64(int offset)
    {
        ulong value = inner.Read64(offset);
        return offset == register ? change(value, _written) : value;
    }

    public void Write32(int offset, uint value) => inner.Write32(offset, value);

    public void Write64(int offset, ulong value)
    {
        if (offset == register)
        {
            _written = value;
        }

        inner.Write64(offset, value);
    }
}
