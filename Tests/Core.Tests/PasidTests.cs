// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests;

public sealed class PasidTests
{
    [Fact]
    public void A8_no_pasid_is_wider_than_20_bits()
    {
        Assert.Equal(0xFFFFFu, new Pasid(0xFFFFF).Value);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Pasid(0x100000));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Pasid(0x80000000));
    }
}
