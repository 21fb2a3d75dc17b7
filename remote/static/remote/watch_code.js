// The code may stand in the address's fragment, as the computer shows it: then there is nothing to type.

const form = document.getElementById("watch-code");
const given = decodeURIComponent(location.hash.slice(1));

if (given && !form.elements.code.value) {
  history.replaceState(null, "", location.pathname); // going back does not send it again
  form.elements.code.value = given;
  form.submit();
}
