using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace PasidFramework.Qemu;

/// <summary>
/// QEMU's QTest protocol: one line a command, one line an answer. Every access has a deadline; what is not an answer is a
/// <see cref="QemuException"/>.
/// </summary>
/// <remarks>Safe for concurrent use: one command at a time.</remarks>
internal sealed class QTestClient : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Socket _socket;
    private readonly TimeSpan _patience;
    private readonly Func<string> _describe;
    private readonly byte[] _buffer = new byte[4096];
    private int _start;
    private int _end;

    /// <summary>Talks over a connected socket.</summary>
    /// <param name="socket">The socket; owned from now on.</param>
    /// <param name="patience">How long an answer may take.</param>
    /// <param name="describe">What QEMU did meanwhile, for messages.</param>
    public QTestClient(Socket socket, TimeSpan patience, Func<string> describe)
    {
        _socket = socket;
        _patience = patience;
        _describe = describe;
        _socket.ReceiveTimeout = (int)patience.TotalMilliseconds;
        _socket.SendTimeout = (int)patience.TotalMilliseconds;
    }

    /// <summary>Commands sent so far.</summary>
    public long Commands { get; private set; }

    public uint Read8(ulong address) => (uint)Number($"readb 0x{address:x}");

    public uint Read16(ulong address) => (uint)Number($"readw 0x{address:x}");

    public uint Read32(ulong address) => (uint)Number($"readl 0x{address:x}");

    public ulong Read64(ulong address) => Number($"readq 0x{address:x}");

    public void Write8(ulong address, uint value) => Send($"writeb 0x{address:x} 0x{value:x}");

    public void Write16(ulong address, uint value) => Send($"writew 0x{address:x} 0x{value:x}");

    public void Write32(ulong address, uint value) => Send($"writel 0x{address:x} 0x{value:x}");

    public void Write64(ulong address, ulong value) => Send($"writeq 0x{address:x} 0x{value:x}");

    public uint In32(int port) => (uint)Number($"inl 0x{port:x}");

    public void Out32(int port, uint value) => Send($"outl 0x{port:x} 0x{value:x}");

    /// <summary>Lets virtual time pass (qtest accelerator only).</summary>
    public void StepClock(long nanoseconds) => Send($"clock_step {nanoseconds}");

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private ulong Number(FormattableString command)
    {
        string answer = Send(command);
        ReadOnlySpan<char> digits = answer.AsSpan(answer.LastIndexOf(' ') + 1);
        return digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            && ulong.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : throw Nonsense(command, answer);
    }

    private string Send(FormattableString command)
    {
        string line = command.ToString(CultureInfo.InvariantCulture);
        lock (_gate)
        {
            Commands++;
            try
            {
                Span<byte> bytes = stackalloc byte[128];
                int length = Encoding.ASCII.GetBytes(line, bytes);
                bytes[length++] = (byte)'\n';
                for (int sent = 0; sent < length;)
                {
                    sent += _socket.Send(bytes[sent..length]);
                }

                while (true)
                {
                    string answer = ReadLine();
                    if (answer.StartsWith("IRQ", StringComparison.Ordinal))
                    {
                        continue;
                    }

                    return answer == "OK" || answer.StartsWith("OK ", StringComparison.Ordinal)
                        ? answer
                        : throw Nonsense(command, answer);
                }
            }
            catch (SocketException e)
            {
                string what = e.SocketErrorCode is SocketError.TimedOut or SocketError.WouldBlock
                    ? $"did not answer '{line}' within {_patience.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s"
                    : $"went away at '{line}' ({e.SocketErrorCode})";
                throw new QemuException($"QEMU {what}; {_describe()}", e);
            }
            catch (ObjectDisposedException e)
            {
                throw new QemuException($"QEMU was stopped before '{line}'", e);
            }
        }
    }

    private QemuException Nonsense(FormattableString command, string answer) => new(
        $"QEMU answered '{answer}' to '{command.ToString(CultureInfo.InvariantCulture)}'; {_describe()}");

    private string ReadLine()
    {
        while (true)
        {
            int at = _buffer.AsSpan(_start, _end - _start).IndexOf((byte)'\n');
            if (at >= 0)
            {
                string line = Encoding.ASCII.GetString(_buffer, _start, at).TrimEnd('\r');
                _start += at + 1;
                return line;
            }

            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }

            if (_end == _buffer.Length)
            {
                throw new QemuException($"QEMU answered a line of more than {_buffer.Length} bytes");
            }

            int read = _socket.Receive(_buffer.AsSpan(_end));
            if (read == 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }

            _end += read;
        }
    }
}
